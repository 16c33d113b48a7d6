"""Transactions that see the database as it was: writers that were open meanwhile, and a reader that stays for hours."""

from __future__ import annotations

import pytest

from tests.budgets.standing import drift, members, set_budget
from tests.concurrency.conftest import healthy, midday
from tests.conftest import Connect
from tests.rows import Connection, call, failing, ledger_size

__all__ = ["healthy", "midday"]

LEVELS = pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])


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
