"""Transactions that see the database as it was: writers that were open meanwhile, and a reader that stays for hours."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.budgets.standing import drift, members, set_budget
from tests.concurrency.conftest import healthy, midday
from tests.conftest import Connect
from tests.race import Crowd
from tests.rows import Connection, call, failing, ledger_size, rows

__all__ = ["healthy", "midday"]

LEVELS = pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])


PAIRS = 40
SEEN = (
    "SELECT * FROM budget.status",
    "SELECT * FROM budget.budget_status",
    "SELECT * FROM budget.invariants",
    "SELECT l.* FROM public.cost_tracking AS l ORDER BY l.id",
)


def pair(connection: Connection) -> None:
    held = call(connection, "reserve", "0.2", "svc", {"team": "alpha"})
    call(connection, "settle", held.reservation_id, "0.1")


def pairs(connection: Connection) -> None:
    for _ in range(PAIRS):
        pair(connection)


@LEVELS
def test_the_ledger_is_not_emptied_by_an_older_snapshot(db: Connection, connect: Connect, level: str) -> None:
    """Rows that came since go with the ledger, which keeps no snapshots; their balances it would not see."""
    old = connect()
    with old.transaction():
        old.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        old.execute("SELECT FROM public.cost_tracking")
        set_budget(db, "team", 100, "team")
        call(db, "reserve", 60, "svc", {"team": "alpha"})
        with failing(old, "PB001"):
            old.execute("TRUNCATE public.cost_tracking")
    assert (ledger_size(db), members(db, "team")) == (1, {"alpha": 60})
    db.execute("TRUNCATE public.cost_tracking")
    assert drift(db) == []


def test_a_reader_that_stays_sees_one_moment_and_keeps_nobody(
    db: Connection, connect: Connect, crowd: Callable[[int], Crowd]
) -> None:
    """As a dump of an hour does. What is folded meanwhile is dead only once it has gone."""
    call(db, "set_budget", "daily", None, p_slots=4)
    set_budget(db, "team", 100, "team", period="month")
    pair(db)
    reader = connect()
    with reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        moment = [rows(reader, query) for query in SEEN]
        for change in ("set_budget('team', 100, 'team')", "prune()"):
            crowd(4).race([pairs] * 4)
            db.execute(f"SELECT budget.{change}".encode())
        assert [rows(reader, query) for query in SEEN] == moment
    assert ledger_size(db) == 1 + 2 * 4 * PAIRS
    assert members(db, "team") == {"alpha": Decimal(ledger_size(db)) / 10}
