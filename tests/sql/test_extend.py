"""budget.extend: a hold grows, shrinks or lives longer, all or nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from tests.clock import NOON, Clock, utc
from tests.rows import Connection, as_owner, call, configure, expect, fails, ledger, reserve, spend, total
from tests.sql.verdicts import MIDNIGHT, TICK

HOUR = timedelta(hours=1)


def test_sets_a_new_total_and_not_an_addition(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    clock.advance(minutes=1)
    expect(
        call(caller, "extend", p_reservation_id=hold, p_new_estimate=15),
        can_proceed=True,
        current_total=10,
        reservation_id=hold,
        reason="granted",
        budget="daily",
        limit_amount=100,
        remaining=90,
        resets_at=MIDNIGHT,
        retry_at=None,
        expires_at=NOON + HOUR,
    )
    row = ledger(caller, hold)
    expect(row, cost=15, expires_at=NOON + HOUR, created_at=NOON)
    kept = {key: row.metadata[key] for key in ("type", "requested_cost", "estimated_cost", "extended_at")}
    assert kept == {
        "type": "reservation",
        "requested_cost": "10",
        "estimated_cost": "15",
        "extended_at": "2025-10-03T12:01:00.000000Z",
    }
    assert total(caller) == 15
    expect(call(caller, "settle", hold, 15), estimated_cost=15)


def test_the_time_to_live_counts_from_now(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    clock.advance(minutes=59)
    expect(call(caller, "extend", hold, p_ttl="30 minutes"), expires_at=clock.now + HOUR / 2, reason="granted")
    expect(ledger(caller, hold), cost=10, expires_at=clock.now + HOUR / 2)
    expect(call(caller, "extend", hold, p_ttl="1 minute"), expires_at=clock.now + HOUR / 60)  # shorter, too


def test_a_hold_can_live_for_ever_in_steps(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    for _ in range(50):
        clock.advance(minutes=59)
        expect(call(caller, "extend", hold, p_ttl="1 hour"), can_proceed=True)
    expect(call(caller, "settle", hold, 10), late=False)


@pytest.mark.parametrize(
    ("new_estimate", "reason", "retry_at"),
    [(20, "granted", None), (20 + TICK, "exhausted", MIDNIGHT), (100 + TICK, "too_large", None)],
)
def test_its_own_estimate_counts_once(
    caller: Connection, clock: Clock, new_estimate: Decimal, reason: str, retry_at: object
) -> None:
    spend(caller, 80)
    hold = reserve(caller, 10)
    verdict = call(caller, "extend", hold, new_estimate)
    expect(verdict, reason=reason, current_total=90, remaining=10, retry_at=retry_at)


def test_waits_for_the_lapse_of_others_and_never_for_its_own(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10, p_ttl="1 minute")
    reserve(caller, 30, p_ttl="5 minutes")
    spend(caller, 60)
    expect(call(caller, "extend", hold, 40), reason="in_flight", retry_at=NOON + timedelta(minutes=5))
    expect(call(caller, "extend", hold, 41), reason="exhausted", retry_at=MIDNIGHT)


def test_refused_it_changes_nothing(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    spend(caller, 90)
    before = ledger(caller, hold)
    clock.advance(minutes=1)
    expect(call(caller, "extend", hold, 11, "3 hours"), can_proceed=False, reservation_id=None, expires_at=None)
    assert ledger(caller, hold) == before


@pytest.mark.parametrize("new_estimate", [None, 0, 9, 10])
def test_asking_for_no_more_is_refused_by_no_limit(caller: Connection, clock: Clock, new_estimate: int | None) -> None:
    hold = reserve(caller, 10)
    spend(caller, 500)
    configure(caller, {"emergency_kill": 5})
    expect(call(caller, "extend", hold, new_estimate, "2 hours"), reason="granted", expires_at=NOON + 2 * HOUR)
    assert ledger(caller, hold).cost == (10 if new_estimate is None else new_estimate)


@pytest.mark.parametrize("new_estimate", [None, 5, 10, 15])
def test_a_freeze_refuses_it(caller: Connection, new_estimate: int | None) -> None:
    hold = reserve(caller, 10)
    before = ledger(caller, hold)
    with as_owner(caller):
        call(caller, "freeze", "stop")
    expect(call(caller, "extend", hold, new_estimate, "2 hours"), reason="frozen", can_proceed=False, retry_at=None)
    assert ledger(caller, hold) == before


def test_an_exempt_service_may_grow_past_the_limit(caller: Connection) -> None:
    hold = reserve(caller, 10, "architect")
    expect(call(caller, "extend", hold, 1000), reason="granted")


@pytest.mark.parametrize("arguments", [{"p_new_estimate": 15}, {}], ids=["estimate", "nothing"])
def test_repeating_it_changes_nothing(caller: Connection, clock: Clock, arguments: dict[str, object]) -> None:
    hold = reserve(caller, 10)
    call(caller, "extend", hold, **arguments)
    before = ledger(caller, hold)
    clock.advance(minutes=1)
    verdict = call(caller, "extend", hold, **arguments)
    expect(verdict, reason="granted", reservation_id=hold, expires_at=before.expires_at)
    assert ledger(caller, hold) == before  # nor is it written anew: its place is the same


# -------------------------------------------------------------------------------------------------------- lapsing


@pytest.mark.parametrize(
    ("arguments", "lives"), [({}, HOUR), ({"p_ttl": "3 minutes"}, HOUR / 20), ({"p_new_estimate": 20}, HOUR)]
)
def test_a_lapsed_hold_is_revived_if_there_is_room(
    caller: Connection, clock: Clock, arguments: dict[str, object], lives: timedelta
) -> None:
    hold = reserve(caller, 10, p_ttl="1 minute")
    spend(caller, 80)
    clock.advance(minutes=1)
    expect(call(caller, "extend", hold, **arguments), reason="granted", current_total=80, expires_at=clock.now + lives)
    assert total(caller) == 80 + int(str(arguments.get("p_new_estimate", 10)))


def test_a_lapsed_hold_is_not_revived_without_room(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    clock.advance(hours=1)
    spend(caller, 91)
    before = ledger(caller, hold)
    for new_estimate in (None, 10):
        expect(call(caller, "extend", hold, new_estimate), reason="exhausted", current_total=91, retry_at=MIDNIGHT)
    assert ledger(caller, hold) == before
    expect(call(caller, "extend", hold, 9), reason="granted")


def test_a_lapsed_hold_that_is_kept_counts_already(caller: Connection, clock: Clock) -> None:
    configure(caller, {"emergency_kill": 100, "on_expiry": "keep"})
    hold = reserve(caller, 10)
    clock.advance(hours=1)
    spend(caller, 95)
    expect(call(caller, "extend", hold), reason="granted", current_total=105, expires_at=clock.now + HOUR)
    expect(call(caller, "extend", hold, 11), reason="exhausted")


@pytest.mark.parametrize("end", ["settle", "cancel", "expire"])
@pytest.mark.parametrize("more", [(5, "1 minute"), (5,), (None, "1 minute")])
def test_an_ended_hold_is_not_extended(caller: Connection, clock: Clock, end: str, more: tuple[object, ...]) -> None:
    hold = reserve(caller, 10)
    if end == "settle":
        call(caller, "settle", hold, 10)
    elif end == "cancel":
        call(caller, "cancel", hold)
    else:
        clock.advance(hours=1)
        with as_owner(caller):
            call(caller, "expire")
    before = ledger(caller, hold)
    fails(caller, "PB004", "extend", hold, *more)
    assert ledger(caller, hold) == before


# ---------------------------------------------------------------------------------------------------- its own day


@pytest.fixture
def hold_of_yesterday(caller: Connection, clock: Clock) -> UUID:
    """A hold of 10 beside 85 of spend, seen ten minutes after midnight, when today has nothing."""
    clock.set("2025-10-03 23:50")
    hold = reserve(caller, 10)
    spend(caller, 85)
    clock.set("2025-10-04 00:10")
    return hold


def test_the_room_is_that_of_the_day_that_admitted_it(caller: Connection, hold_of_yesterday: UUID) -> None:
    expect(
        call(caller, "extend", hold_of_yesterday, 16),
        reason="exhausted",
        current_total=95,
        resets_at=utc("2025-10-04 00:00"),
    )
    expect(call(caller, "extend", hold_of_yesterday, 15), reason="granted", current_total=95)
    assert total(caller) == 0


def test_the_day_that_admitted_it_is_not_todays_to_crowd(
    caller: Connection, clock: Clock, hold_of_yesterday: UUID
) -> None:
    spend(caller, 100)
    expect(call(caller, "extend", hold_of_yesterday, 15), reason="granted")
