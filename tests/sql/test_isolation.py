"""Decisions are made at READ COMMITTED alone: at a higher level the snapshot is older than the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.rows import Connection, call, failing, reserve

Call = Callable[[Connection], Any]

DECIDES: dict[str, Call] = {
    "check_and_reserve_budget": lambda c: call(c, "public.check_and_reserve_budget", 1, "test"),
    "reserve": lambda c: call(c, "reserve", 1, "test"),
    "reserve_advisory": lambda c: call(c, "reserve_advisory", 1, "test"),
    "extend": lambda c: call(c, "extend", held(c), 2),
}
GOES_ON: dict[str, Call] = {
    "check": lambda c: call(c, "check", 1, "test"),
    "settle": lambda c: call(c, "settle", held(c), 1),
    "cancel": lambda c: call(c, "cancel", held(c)),
    "record": lambda c: call(c, "record", 1, "test"),
    "expire": lambda c: call(c, "expire"),
    "status": lambda c: c.execute("SELECT * FROM budget.status"),
}
HIGHER = [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE]


def held(connection: Connection) -> Any:
    [(hold,)] = connection.execute("SELECT reservation_id FROM budget.open_holds").fetchall()
    return hold


@pytest.fixture
def holding(db: Connection) -> Iterator[Connection]:
    """A connection with one hold, whose isolation level is the test's to choose."""
    reserve(db)
    yield db
    assert call(db, "check", 0, "test").current_total == 10, "what was refused has left something behind"


@pytest.mark.parametrize("level", HIGHER, ids=lambda level: level.name)
@pytest.mark.parametrize("function", DECIDES)
def test_decisions_are_refused_at_higher_levels(
    holding: Connection, function: str, level: psycopg.IsolationLevel
) -> None:
    holding.isolation_level = level
    with failing(holding, "PB001") as caught:
        DECIDES[function](holding)
    assert level.name.replace("_", " ") in (caught.value.diag.message_detail or "")
    assert "READ COMMITTED" in (caught.value.diag.message_hint or "")


@pytest.mark.parametrize("function", ["reserve", "reserve_advisory"])
def test_the_level_may_come_from_the_servers_default(holding: Connection, function: str) -> None:
    holding.execute("SET default_transaction_isolation = 'serializable'")
    with failing(holding, "PB001"):
        DECIDES[function](holding)


@pytest.mark.parametrize("level", HIGHER, ids=lambda level: level.name)
@pytest.mark.parametrize("function", GOES_ON)
def test_the_rest_works_at_every_level(holding: Connection, function: str, level: psycopg.IsolationLevel) -> None:
    holding.isolation_level = level
    with holding.transaction(force_rollback=True):
        GOES_ON[function](holding)
