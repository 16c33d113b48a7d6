"""budget.settle: a hold becomes the spend it was made for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.clock import NOON, Clock
from tests.rows import Connection, as_owner, call, configure, expect, fails, ledger, reserve, spend, total


@pytest.mark.parametrize("actual", [0, Decimal("7.25"), 10, 12, 1000])
def test_the_spend_takes_the_place_of_the_estimate(caller: Connection, clock: Clock, actual: Decimal) -> None:
    hold = reserve(caller, 10, "routing", p_metadata={"work": "order"})
    clock.advance(minutes=1)
    expect(
        call(caller, "settle", p_reservation_id=hold, p_actual_cost=actual, p_metadata={"model": "large"}),
        reservation_id=hold,
        status="actual",
        estimated_cost=10,
        actual_cost=actual,
        over_limit=actual > 100,
        late=False,
    )
    expect(
        ledger(caller, hold),
        cost=actual,
        service_name="routing",
        created_at=NOON,
        expires_at=None,
        metadata={
            "type": "actual",
            "original_metadata": {"work": "order"},
            "model": "large",
            "requested_cost": "10",
            "estimated_cost": "10",
            "reserved_at": "2025-10-03T12:00:00.000000Z",
            "settled_at": "2025-10-03T12:01:00.000000Z",
            "over_limit": actual > 100,
        },
    )
    assert total(caller) == actual


def test_what_the_row_keeps_cannot_be_overwritten(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10, p_metadata={"a": 1})
    clock.advance(minutes=1)
    keys = ["type", "reserved_at", "estimated_cost", "requested_cost", "original_metadata", "settled_at", "over_limit"]
    outcome = call(caller, "settle", hold, 9, dict.fromkeys([*keys, "late", "expired_at"], "forged"))
    expect(outcome, status="actual", estimated_cost=10, late=False, over_limit=False)
    assert "forged" not in str(ledger(caller, hold).metadata)


@pytest.mark.parametrize(
    ("spent", "actual", "over_limit"),
    [(90, 10, False), (85, 15, False), (85, Decimal("15.000000000001"), True), (95, 20, True)],
)
def test_over_limit_says_that_this_spend_left_the_day_above_it(
    caller: Connection, clock: Clock, spent: int, actual: Decimal, over_limit: bool
) -> None:
    hold = reserve(caller, 10)
    spend(caller, spent)
    expect(call(caller, "settle", hold, actual), over_limit=over_limit, actual_cost=actual)
    assert total(caller) == spent + actual


def test_spend_within_its_estimate_is_not_what_put_the_day_over(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    spend(caller, 200)
    expect(call(caller, "settle", hold, 10), over_limit=False)


def test_repeating_it_gives_the_same_outcome_and_changes_nothing(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    first = call(caller, "settle", hold, Decimal("150.0000000000001"), {"a": 1})
    before = ledger(caller, hold)
    clock.advance(hours=30)
    assert call(caller, "settle", hold, Decimal("150.0000000000001"), {"a": 2}) == first
    assert call(caller, "settle", hold, Decimal("150.000000000001")) == first
    assert ledger(caller, hold) == before


def test_another_amount_is_an_error_that_shows_both(caller: Connection) -> None:
    hold = reserve(caller, 10)
    call(caller, "settle", hold, Decimal("7.25"))
    diag = fails(caller, "PB004", "settle", hold, Decimal("7.26"))
    assert str(hold) in diag.message_primary
    assert "7.25" in diag.message_detail
    assert "7.26" in diag.message_detail
    assert total(caller) == Decimal("7.25")


@pytest.mark.parametrize("end", ["lapsed", "expired", "cancelled"])
@pytest.mark.parametrize("actual", [4, 10, 25])
def test_a_late_settle_is_recorded_in_full(caller: Connection, clock: Clock, end: str, actual: int) -> None:
    hold = reserve(caller, 10)
    if end == "cancelled":
        call(caller, "cancel", hold, "the call failed")
    else:
        clock.advance(hours=1)
    if end == "expired":
        with as_owner(caller):
            call(caller, "expire")
    assert total(caller) == 0
    expect(call(caller, "settle", hold, actual), status="actual", estimated_cost=10, actual_cost=actual, late=True)
    assert total(caller) == actual
    kept = ledger(caller, hold).metadata
    assert kept["late"] is True
    assert {"lapsed": set(), "expired": {"expired_at"}, "cancelled": {"cancelled_at", "cancel_reason"}}[end] <= set(
        kept
    )


def test_a_late_settle_may_put_the_day_over_its_limit(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    clock.advance(hours=1)
    spend(caller, 95)
    expect(call(caller, "settle", hold, 10), late=True, over_limit=True)


def test_late_begins_with_the_instant_of_lapsing(caller: Connection, clock: Clock) -> None:
    in_time, too_late = reserve(caller, 1), reserve(caller, 1)
    clock.advance(hours=1, microseconds=-1)
    expect(call(caller, "settle", in_time, 1), late=False)
    clock.advance(microseconds=1)
    expect(call(caller, "settle", too_late, 1), late=True)


def test_spend_is_posted_to_the_day_that_admitted_the_hold(caller: Connection, clock: Clock) -> None:
    clock.set("2025-10-03 23:59:59")
    hold = reserve(caller, 10)
    spend(caller, 85)
    clock.set("2025-10-04 00:00:01")
    spend(caller, 99)
    expect(call(caller, "settle", hold, 15), over_limit=False)  # yesterday stands at 100 now, today at 99
    assert total(caller) == 99
    clock.set("2025-10-03 23:59:59")
    assert total(caller) == 100


def test_goes_on_over_the_limit_and_while_frozen(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    configure(caller, {"emergency_kill": 5})
    with as_owner(caller):
        call(caller, "freeze", "stop")
    expect(call(caller, "settle", hold, 11), status="actual", over_limit=True)
