"""budget.reserve and budget.reserve_advisory: all that the two have in common, which is everything but the lock."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from tests.clock import Clock
from tests.rows import (
    Connection,
    as_owner,
    call,
    configure,
    expect,
    fails,
    ledger,
    ledger_size,
    one,
    reserve,
    spend,
    total,
)
from tests.sql.verdicts import DAYS, LIMIT, MIDNIGHT, TICK, Day

LAPSED = timedelta(hours=1)

# --------------------------------------------------------------------------------------------------- the verdict


@pytest.mark.parametrize("day", DAYS, ids=lambda day: day.what)
def test_verdict(caller: Connection, clock: Clock, variant: str, day: Day) -> None:
    day.arrange(caller, clock)
    size = ledger_size(caller)
    granted = day.reason == "granted"

    verdict = call(caller, variant, day.estimate, "test")

    expect(
        verdict,
        can_proceed=granted,
        current_total=day.current_total,
        reason=day.reason,
        budget="daily",
        limit_amount=LIMIT,
        remaining=LIMIT - day.current_total,
        resets_at=MIDNIGHT,
        retry_at=day.retry_at,
        expires_at=clock.now + LAPSED if granted else None,
    )
    assert isinstance(verdict.reservation_id, UUID) == granted
    assert ledger_size(caller) == size + granted
    assert total(caller) == day.current_total + (day.estimate if granted else 0)


def test_a_grant_writes_the_hold(caller: Connection, clock: Clock, variant: str) -> None:
    hold = call(
        caller, variant, p_estimated_cost=Decimal("2.50"), p_service_name="routing", p_metadata={"work": ["order", 7]}
    ).reservation_id
    expect(
        ledger(caller, hold),
        id=hold,
        service_name="routing",
        cost=Decimal("2.50"),
        created_at=clock.now,
        expires_at=clock.now + LAPSED,
        metadata={
            "type": "reservation",
            "original_metadata": {"work": ["order", 7]},
            "requested_cost": "2.50",
            "estimated_cost": "2.50",
            "reserved_at": "2025-10-03T12:00:00.000000Z",
        },
    )


def test_a_hold_begins_when_it_is_decided_and_not_with_its_transaction(caller: Connection, variant: str) -> None:
    """A transaction may have begun before midnight, and may have waited for the lock."""
    hold = call(caller, variant, 10, "test").reservation_id
    assert one(caller, "SELECT now() AS began").began < ledger(caller, hold).created_at


def test_the_callers_own_id_and_time_to_live(caller: Connection, clock: Clock, variant: str) -> None:
    hold = uuid4()
    verdict = call(
        caller,
        variant,
        p_ttl="5 minutes",
        p_reservation_id=hold,
        p_metadata=None,
        p_service_name="test",
        p_estimated_cost=1,
    )
    expect(verdict, reservation_id=hold, expires_at=clock.now + timedelta(minutes=5))
    expect(ledger(caller, hold), cost=1, expires_at=clock.now + timedelta(minutes=5))


def test_a_refusal_is_not_remembered(caller: Connection, clock: Clock, variant: str) -> None:
    first, hold = reserve(caller, 95), uuid4()
    expect(call(caller, variant, 10, "test", p_reservation_id=hold), reason="in_flight", reservation_id=None)
    call(caller, "cancel", first)
    expect(call(caller, variant, 11, "other", p_reservation_id=hold), reason="granted", reservation_id=hold)


# -------------------------------------------------------------------------------------------------------- lapsing


def test_a_lapsed_hold_counts_nothing_from_its_instant_on(caller: Connection, clock: Clock, variant: str) -> None:
    reserve(caller, 95)
    clock.advance(hours=1, microseconds=-1)
    expect(call(caller, variant, 10, "test"), reason="in_flight", current_total=95)
    clock.advance(microseconds=1)
    expect(call(caller, variant, 10, "test"), reason="granted", current_total=0)


def test_a_lapsed_hold_stays_spent_where_the_limits_say_keep(caller: Connection, clock: Clock, variant: str) -> None:
    configure(caller, {"emergency_kill": 100, "on_expiry": "keep"})
    reserve(caller, 60)
    expect(call(caller, variant, 50, "test"), reason="in_flight", retry_at=MIDNIGHT)  # lapsing will free nothing
    clock.advance(hours=1)
    expect(call(caller, variant, 50, "test"), reason="exhausted", current_total=60, retry_at=MIDNIGHT)
    expect(call(caller, variant, 40, "test"), reason="granted", current_total=60)


# ---------------------------------------------------------------------------------------------- who is not refused


def test_an_exempt_service_is_refused_by_no_limit_but_counts(caller: Connection, clock: Clock, variant: str) -> None:
    expect(call(caller, variant, 150, "architect"), reason="granted", can_proceed=True, remaining=100, retry_at=None)
    expect(call(caller, variant, TICK, "test"), reason="in_flight", current_total=150, remaining=-50)


def test_exempt_services_are_those_of_the_limits(caller: Connection, variant: str) -> None:
    configure(caller, {"emergency_kill": 1, "exempt_services": ["the boss", "Architect"]})
    services = ["the boss", "Architect", "architect", "the boss "]
    assert [call(caller, variant, 2, service).can_proceed for service in services] == [True, True, False, False]


# -------------------------------------------------------------------------------------------------- the same id


@pytest.mark.parametrize(
    "again",
    [
        {"p_estimated_cost": Decimal("10.000000000001")},
        {"p_estimated_cost": Decimal("10.0000000000001")},  # which rounds up to the same
        {"p_estimated_cost": Decimal("10.00000000000100")},
        {"p_metadata": '{"b": 2,   "a": 1.0}'},
        {"p_ttl": "3 hours"},
    ],
    ids=str,
)
def test_the_same_arguments_are_a_replay(
    caller: Connection, clock: Clock, variant: str, again: dict[str, object]
) -> None:
    arguments: dict[str, object] = {
        "p_estimated_cost": Decimal("10.0000000000001"),
        "p_service_name": "test",
        "p_metadata": '{"a": 1.0, "b": 2}',
        "p_reservation_id": uuid4(),
    }
    first = call(caller, variant, **arguments)
    spend(caller, 80)
    clock.advance(minutes=10)

    replay = call(caller, variant, **{**arguments, **again})

    unchanged = first._replace(reason="replayed", current_total=replay.current_total, remaining=replay.remaining)
    assert replay == unchanged
    expect(replay, can_proceed=True, current_total=Decimal("90.000000000001"), remaining=Decimal("9.999999999999"))
    assert ledger_size(caller) == 2


def test_no_metadata_and_empty_metadata_are_the_same(caller: Connection, variant: str) -> None:
    hold = uuid4()
    empty: list[object] = [None, {}, "{}"]
    reasons = [call(caller, variant, 10, "test", metadata, hold).reason for metadata in empty]
    assert reasons == ["granted", "replayed", "replayed"]


def test_a_replay_comes_before_the_limit_and_the_freeze(caller: Connection, clock: Clock, variant: str) -> None:
    hold = reserve(caller, 10)
    spend(caller, 200)
    with as_owner(caller):
        call(caller, "freeze", "stop")
    expect(call(caller, variant, 10, "test", p_reservation_id=hold), reason="replayed", reservation_id=hold)
    expect(call(caller, variant, 10, "test"), reason="frozen")


def test_the_other_variant_replays_too(caller: Connection, variant: str) -> None:
    other = {"reserve": "reserve_advisory", "reserve_advisory": "reserve"}[variant]
    hold = call(caller, other, 10, "test").reservation_id
    expect(call(caller, variant, 10, "test", p_reservation_id=hold), reason="replayed")


def test_a_replay_is_held_against_the_first_request_and_not_the_extended_one(caller: Connection, variant: str) -> None:
    hold = reserve(caller, 10)
    call(caller, "extend", hold, 15)
    expect(call(caller, variant, 10, "test", p_reservation_id=hold), reason="replayed", current_total=15)
    fails(caller, "PB003", variant, 15, "test", p_reservation_id=hold)


@pytest.mark.parametrize(
    ("cost", "service", "metadata"), [(11, "test", {"a": 1}), (10, "Test", {"a": 1}), (10, "test", {"a": 2})]
)
def test_other_arguments_are_an_error_that_shows_both(
    caller: Connection, variant: str, cost: int, service: str, metadata: dict[str, object]
) -> None:
    hold = reserve(caller, 10, p_metadata={"a": 1})
    diag = fails(caller, "PB003", variant, cost, service, metadata, hold)
    assert str(hold) in diag.message_primary
    first, _, now = diag.message_detail.partition("Now: ")
    assert '"10"' in first
    assert '"test"' in first
    assert '{"a": 1}' in first
    assert f'"{cost}"' in now
    assert f'"{service}"' in now
    assert str(metadata).replace("'", '"') in now


@pytest.mark.parametrize("state", ["settled", "cancelled", "expired", "lapsed"])
def test_a_hold_that_has_ended_is_not_granted_again(caller: Connection, clock: Clock, variant: str, state: str) -> None:
    hold = reserve(caller, 10)
    if state == "settled":
        call(caller, "settle", hold, 10)
    elif state == "cancelled":
        call(caller, "cancel", hold)
    else:
        clock.advance(hours=1)
        if state == "expired":
            with as_owner(caller):
                call(caller, "expire")
    expect(
        call(caller, variant, 10, "test", p_reservation_id=hold),
        can_proceed=False,
        reason="ended",
        reservation_id=None,
        expires_at=None,
        retry_at=None,
        current_total=10 if state == "settled" else 0,
    )
    fails(caller, "PB003", variant, 11, "test", p_reservation_id=hold)


def test_the_id_of_plain_spend_is_taken(caller: Connection, variant: str) -> None:
    fails(caller, "PB003", variant, 5, "direct", p_reservation_id=spend(caller, 5))
    recorded = call(caller, "record", 5, "test").reservation_id
    fails(caller, "PB003", variant, 5, "test", p_reservation_id=recorded)
