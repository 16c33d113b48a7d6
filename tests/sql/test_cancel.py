"""budget.cancel: the call failed and cost nothing."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.clock import Clock
from tests.rows import Connection, as_owner, call, expect, fails, ledger, reserve, total


def test_the_row_stays_at_cost_0(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10, p_metadata={"work": "order"})
    clock.advance(minutes=1)
    expect(
        call(caller, "cancel", p_reservation_id=hold, p_reason="timeout"),
        reservation_id=hold,
        status="cancelled",
        estimated_cost=10,
        actual_cost=0,
        over_limit=False,
        late=False,
    )
    expect(
        ledger(caller, hold),
        cost=0,
        expires_at=None,
        metadata={
            "type": "cancelled",
            "original_metadata": {"work": "order"},
            "requested_cost": "10",
            "estimated_cost": "10",
            "reserved_at": "2025-10-03T12:00:00.000000Z",
            "cancelled_at": "2025-10-03T12:01:00.000000Z",
            "cancel_reason": "timeout",
        },
    )
    assert total(caller) == 0


@pytest.mark.parametrize("reason", [None, "", 'a "quoted" one'])
def test_the_reason_is_kept_if_there_is_one(caller: Connection, reason: str | None) -> None:
    hold = reserve(caller)
    call(caller, "cancel", hold, reason)
    assert ledger(caller, hold).metadata.get("cancel_reason") == reason


def test_repeating_it_gives_the_same_outcome_and_the_first_reason_stands(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller)
    first, before = call(caller, "cancel", hold, "first"), ledger(caller, hold)
    clock.advance(hours=2)
    assert call(caller, "cancel", hold, "second") == first
    assert ledger(caller, hold) == before


@pytest.mark.parametrize("marked", [False, True])
def test_a_lapsed_hold_is_cancelled_late(caller: Connection, clock: Clock, marked: bool) -> None:
    hold = reserve(caller, 10)
    clock.advance(hours=1)
    if marked:
        with as_owner(caller):
            call(caller, "expire")
    expect(call(caller, "cancel", hold), status="cancelled", estimated_cost=10, actual_cost=0, late=True)


def test_what_is_settled_stays_settled(caller: Connection) -> None:
    hold = reserve(caller, 10)
    call(caller, "settle", hold, 7)
    diag = fails(caller, "PB004", "cancel", hold)
    assert "actual at cost 7" in diag.message_detail
    assert total(caller) == 7


def test_goes_on_while_frozen(caller: Connection) -> None:
    hold: UUID = reserve(caller)
    with as_owner(caller):
        call(caller, "freeze", "stop")
    expect(call(caller, "cancel", hold), status="cancelled")
