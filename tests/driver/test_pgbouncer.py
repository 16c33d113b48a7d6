"""The driver through PgBouncer in transaction mode: many clients share a few sessions, and leave no trace in them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from pgbudget import Budget
from tests import pgtap, race
from tests.driver.pgbouncer import PgBouncer, program
from tests.race import SECONDS

CLIENTS = 16
PAIRS = 125
SESSIONS = 4
COST = Decimal("0.001")

# Unlike what the functions themselves set for a transaction, so that a setting that outlives one would show.
SETTINGS = {"lock_timeout": "20s", "synchronous_commit": "off", "TimeZone": "Asia/Kathmandu"}


@pytest.fixture
def pooled_dsn(dsn: str, app_role: str, db: psycopg.Connection[TupleRow]) -> Iterator[str]:
    """This test's database through PgBouncer, as a plain caller."""
    for name, value in SETTINGS.items():
        db.execute(f"ALTER DATABASE {db.info.dbname} SET {name} = '{value}'".encode())
    with PgBouncer(program(), make_conninfo(dsn, user=app_role), pool_size=SESSIONS) as bouncer:
        yield bouncer.dsn


def settings(dsn: str) -> dict[int, dict[str, str]]:
    """The settings of each of the pool's sessions: as many transactions at once as there are sessions."""
    query = "SELECT pg_backend_pid(), " + ", ".join(f"current_setting('{name}')" for name in SETTINGS)
    found = {}
    with ExitStack() as open_transactions:
        for _ in range(SESSIONS):
            connection = open_transactions.enter_context(psycopg.connect(dsn, prepare_threshold=None))
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            found[row[0]] = dict(zip(SETTINGS, row[1:], strict=True))
    return found


def test_many_clients_reserve_and_settle(pooled_dsn: str, db: psycopg.Connection[TupleRow]) -> None:
    start = race.barrier(CLIENTS)

    def spend(client: int) -> int:
        with Budget(pooled_dsn) as budget:
            reserve = (budget.reserve, budget.reserve_advisory)[client % 2]
            start.wait()
            for _ in range(PAIRS):
                verdict = reserve(COST, f"client {client}")
                assert verdict.reservation_id is not None
                assert budget.settle(verdict.reservation_id, COST).status == "actual"
        return PAIRS

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert sum(clients.map(spend, range(CLIENTS), timeout=SECONDS)) == 2000

    pgtap.results_eq(
        db,
        "SELECT metadata ->> 'type', count(*), sum(cost) FROM public.cost_tracking GROUP BY 1",
        [("actual", 2000, 2000 * COST)],
    )
    pgtap.is_empty(db, "SELECT * FROM budget.invariants")
    pgtap.is_empty(
        db,
        """SELECT l.locktype, l.mode, l.pid FROM pg_locks AS l
           WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (l.locktype = 'advisory' OR l.relation = 'public.cost_tracking'::regclass)""",
    )
    sessions = settings(pooled_dsn)
    assert len(sessions) == SESSIONS, "the clients shared this many sessions"
    for pid, found in sessions.items():
        assert found == SETTINGS, f"session {pid}"
