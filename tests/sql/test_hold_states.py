"""The table of docs/holds.md: what every call makes of a hold in every state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.clock import Clock
from tests.rows import Connection, as_owner, call, ledger, reserve, rows, spend, total

ESTIMATE, ACTUAL, OTHER = 10, 7, 9

# ------------------------------------------------------------------------------------------------------ the states


def settled(connection: Connection, clock: Clock) -> UUID:
    hold = reserve(connection, ESTIMATE)
    call(connection, "settle", hold, ACTUAL)
    return hold


def cancelled(connection: Connection, clock: Clock) -> UUID:
    hold = reserve(connection, ESTIMATE)
    call(connection, "cancel", hold)
    return hold


def lapsed(connection: Connection, clock: Clock) -> UUID:
    hold = reserve(connection, ESTIMATE)
    clock.advance(hours=1)
    return hold


def expired(connection: Connection, clock: Clock) -> UUID:
    hold = lapsed(connection, clock)
    with as_owner(connection):
        call(connection, "expire")
    return hold


def deleted(connection: Connection, clock: Clock) -> UUID:
    hold = reserve(connection, ESTIMATE)
    with as_owner(connection):
        connection.execute("DELETE FROM public.cost_tracking WHERE id = %s", [hold])
    return hold


def recorded(connection: Connection, clock: Clock) -> UUID:
    spend_id: UUID = call(connection, "record", ACTUAL, "test").reservation_id
    return spend_id


STATES: dict[str, Callable[[Connection, Clock], UUID]] = {
    "open": lambda connection, _: reserve(connection, ESTIMATE),
    "lapsed": lapsed,
    "expired": expired,
    "cancelled": cancelled,
    "actual": settled,
    "unknown": lambda *_: uuid4(),
    "deleted": deleted,
    "recorded": recorded,
    "plain spend": lambda connection, _: spend(connection, ACTUAL),
    # On rows that never were holds, types of ours are the application's own words.
    "plain spend called actual": lambda connection, _: spend(connection, ACTUAL, metadata={"type": "actual"}),
    "plain spend called cancelled": lambda connection, _: spend(connection, ACTUAL, metadata={"type": "cancelled"}),
    "plain spend called expired": lambda connection, _: spend(connection, ACTUAL, metadata={"type": "expired"}),
}

# ------------------------------------------------------------------------------------------------------- the calls

CALLS: dict[str, Callable[[Connection, UUID], Any]] = {
    "settle, as booked": lambda connection, hold: call(connection, "settle", hold, ACTUAL),
    "settle, other amount": lambda connection, hold: call(connection, "settle", hold, OTHER),
    "cancel": lambda connection, hold: call(connection, "cancel", hold),
    "extend": lambda connection, hold: call(connection, "extend", hold, 12),
    "reserve again": lambda connection, hold: call(connection, "reserve", ESTIMATE, "test", p_reservation_id=hold),
}


def answer(connection: Connection, what: str, hold: UUID) -> str:
    """The status of an outcome, with "late" where it is, the reason of a verdict, or the SQLSTATE of an error."""
    try:
        with connection.transaction():
            row = CALLS[what](connection, hold)
    except psycopg.Error as error:
        explained = error.diag.message_detail and error.diag.message_hint
        return str(error.sqlstate) if explained else f"{error.sqlstate} without DETAIL or HINT"
    if hasattr(row, "reason"):
        return str(row.reason)
    return f"{row.status} late" if row.late else str(row.status)


# -------------------------------------------------------------------------------------------------------- the table

# Per state, in the order of CALLS: the answer and the row's cost after it.
HOLDS: dict[str, list[str]] = {
    "open": ["actual 7", "actual 9", "cancelled 0", "granted 12", "replayed 10"],
    "lapsed": ["actual late 7", "actual late 9", "cancelled late 0", "granted 12", "ended 10"],
    "expired": ["actual late 7", "actual late 9", "cancelled late 0", "PB004 0", "ended 0"],
    "cancelled": ["actual late 7", "actual late 9", "cancelled 0", "PB004 0", "ended 0"],
    "actual": ["actual 7", "PB004 7", "PB004 7", "PB004 7", "ended 7"],
}
NEW_TYPE = {"actual": "actual", "actual late": "actual", "cancelled": "cancelled", "cancelled late": "cancelled"}


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("state", HOLDS)
def test_holds(caller: Connection, clock: Clock, state: str, what: str) -> None:
    hold = STATES[state](caller, clock)
    before = ledger(caller, hold)
    lives = before.expires_at

    given = answer(caller, what, hold)

    after = ledger(caller, hold)
    assert f"{given} {after.cost}" == HOLDS[state][list(CALLS).index(what)]
    assert after.type == NEW_TYPE.get(given, before.type)
    assert (after.expires_at is not None) == (after.type == "reservation")
    assert total(caller) == (0 if state == "lapsed" and after.expires_at == lives else after.cost)
    if given in {"PB004", "ended", "replayed"} or (state, given) in {("cancelled", "cancelled"), ("actual", "actual")}:
        assert after == before


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("state", [state for state in STATES if state not in HOLDS])
def test_what_is_no_hold(caller: Connection, clock: Clock, state: str, what: str) -> None:
    row_id = STATES[state](caller, clock)
    query = "SELECT * FROM public.cost_tracking WHERE id = %s"
    with as_owner(caller):
        before = rows(caller, query, row_id)

    given = answer(caller, what, row_id)

    if what == "reserve again":
        assert given == ("PB003" if before else "granted")
    else:
        assert given == "PB002"
    with as_owner(caller):
        assert given == "granted" or rows(caller, query, row_id) == before
