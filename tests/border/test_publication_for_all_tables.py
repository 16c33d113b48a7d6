"""With a publication of all tables every table of ours must have a replica identity, or no call gets through.

estuary/connectors#460: `CREATE PUBLICATION ... FOR ALL TABLES`, and every reserve ended with 55000.
"""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from pgbudget.embedded import Server
from tests import chain
from tests.migration.support import session
from tests.race import until
from tests.remedies import troubles
from tests.rows import call, ledger_size, reserve, rows

pytestmark = pytest.mark.proof

LACKS = """
SELECT c.oid::regclass::text AS name
FROM pg_class AS c
WHERE
    c.relkind = 'r' AND (c.relnamespace = 'budget'::regnamespace OR c.relnamespace = 'public'::regnamespace)
    AND NOT (
        c.relreplident = 'f'
        OR (c.relreplident = 'd' AND EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary))
        OR EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisreplident)
    )
"""


@pytest.mark.parametrize("series", ["core", "budgets"])
def test_every_call_goes_on(series: str) -> None:
    with Server(settings={"fsync": "off", "wal_level": "logical"}) as server:
        chain.load(server.dsn(), series)
        with session(server.dsn()) as db:
            assert [row.name for row in rows(db, LACKS) if "yoyo" not in row.name] == []
            db.execute("CREATE PUBLICATION everything FOR ALL TABLES")
            if series == "budgets":
                call(db, "set_budget", "team", 50, "team", p_soft_limits=[1])
            for _ in range(3):
                hold = reserve(db, 3, p_metadata={"team": "a"})
                assert call(db, "extend", hold, 4).can_proceed
                assert call(db, "settle", hold, 2).status == "actual"
                assert call(db, "cancel", reserve(db, 1)).status == "cancelled"
                call(db, "record", 1, "svc")
            call(db, "expire")
            call(db, "set_limits", Jsonb({"emergency_kill": 90}))
            call(db, "freeze", "tried")
            call(db, "unfreeze")
            if series == "budgets":
                call(db, "prune")
                rows(db, "SELECT * FROM budget.reconcile()")
                call(db, "drop_budget", "team")
            db.execute("DELETE FROM public.cost_tracking")
            assert rows(db, "SELECT * FROM budget.invariants") == []


def test_a_subscription_that_writes_the_ledger_is_told_of() -> None:
    """The worker that applies fires no trigger of a statement: what it writes reaches no balance."""
    with Server(settings={"fsync": "off", "wal_level": "logical"}) as server, session(server.dsn()) as first:
        first.execute("CREATE DATABASE copy")
        copy = server.dsn("copy")
        for dsn in (server.dsn(), copy):
            chain.load(dsn, "budgets")
        first.execute("CREATE PUBLICATION spent FOR TABLE public.cost_tracking")
        first.execute("SELECT pg_create_logical_replication_slot('copy', 'pgoutput')")
        call(first, "record", 7, "svc")
        with session(copy) as second:
            reserve(second, 1)
            second.execute(
                f"CREATE SUBSCRIPTION copy CONNECTION 'host={server.host} port={server.port} user={server.user} "
                "dbname=postgres' PUBLICATION spent WITH (create_slot = false)".encode()
            )
            until(lambda: ledger_size(second) == 2, "the row to be applied")
            told = {check: mend for check, verdict, _, mend in troubles(copy) if verdict == "wrong"}
            assert {"subscriptions", "invariants"} <= told.keys()
            assert call(second, "check", 1, "svc").current_total == 1
            second.execute("DROP SUBSCRIPTION copy")
            rows(second, "SELECT * FROM budget.reconcile()")
            assert call(second, "check", 1, "svc").current_total == 8
            assert [check for check, verdict, *_ in troubles(copy) if verdict == "wrong"] == []


def test_the_doctor_finds_a_table_without(empty_dsn: str) -> None:
    chain.load(empty_dsn, "budgets")
    with session(empty_dsn) as db:
        db.execute("ALTER TABLE budget.postings REPLICA IDENTITY DEFAULT")
        ((mend, verdict),) = [
            (mend, verdict) for check, verdict, _, mend in troubles(empty_dsn) if check == "replica identity"
        ]
        assert verdict == "wrong"
        db.execute((mend or "").encode())
        assert troubles(empty_dsn) == []
