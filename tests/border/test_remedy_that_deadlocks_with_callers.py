"""What takes strong locks on several things of ours, a remedy or a way back, gives way: no caller fails by it.

A deadlock of two ends the one that looks for it last, which was the caller: the remedy had the balances and waited for
another table, which he had, and he waited for the balances.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from tests import chain
from tests.conftest import Connect
from tests.race import bound, until
from tests.remedies import caller
from tests.rows import Connection

OWNERS = ("first_owner", "second_owner")
HAND_OVER = "SET pgbudget.accept_owner = on; SELECT budget._hand_over()"
CALLS = (
    "SELECT budget.reserve_advisory(0.001, 'svc')",
    "SELECT budget.reserve(0.001, 'svc')",
    "SELECT budget.settle(reservation_id, 0.002) FROM budget.reserve_advisory(0.001, 'svc')",
    "SELECT budget.record(0.001, 'svc'); SELECT budget.reserve_advisory(0.001, 'svc')",
)

WAITS = """SELECT true FROM pg_locks AS l INNER JOIN pg_class AS c ON l.relation = c.oid
           WHERE NOT l.granted AND l.mode = 'AccessExclusiveLock' AND c.relnamespace = 'budget'::regnamespace"""


@pytest.fixture
def owners(dsn: str, db: Connection) -> Iterator[None]:
    """Either may own all of pgbudget; superusers, so that nothing is in the way but locks."""
    for role in OWNERS:
        db.execute(f"CREATE ROLE {role} SUPERUSER".encode())
    db.execute("""SELECT budget.set_limits('{"daily_soft_cap": 1e6, "daily_hard_cap": 1e6, "emergency_kill": 1e6}')""")
    yield
    for role in OWNERS:
        db.execute(f"REASSIGN OWNED BY {role} TO postgres; DROP ROLE {role}".encode())


def give_ledger(db: Connection, owner: str) -> None:
    db.execute(f"SET lock_timeout = '2s'; ALTER TABLE public.cost_tracking OWNER TO {owner}".encode())


def relations(db: Connection) -> list[str]:
    """The views and tables of ours."""
    return [
        name
        for (name,) in db.execute(
            """SELECT c.oid::regclass::text FROM pg_class AS c
               WHERE c.relnamespace = 'budget'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY c.oid"""
        )
    ]


def test_who_has_one_of_them_may_go_on_to_all_the_others(connect: Connect, db: Connection, owners: None) -> None:
    give_ledger(db, OWNERS[0])
    names = relations(db)
    for name in names:
        reader = bound(connect(autocommit=False))
        reader.execute(f"SELECT FROM {name}".encode())
        with ThreadPoolExecutor(1) as pool, connect() as dba:
            handing = pool.submit(dba.execute, HAND_OVER.encode())
            until(lambda: db.execute(WAITS).fetchone(), "the remedy to come to what is read")
            for other in names:
                reader.execute(f"SELECT FROM {other}".encode())
            reader.execute("SELECT NULL::budget.verdict, NULL::budget.outcome")
            reader.commit()
            handing.result()
        db.execute("SET lock_timeout = 0")
        for other in names:  # for the next round
            db.execute(f"ALTER TABLE {other} OWNER TO postgres".encode())


def test_callers_go_on_beside_one_after_the_other(
    dsn: str, connect: Connect, db: Connection, app_role: str, owners: None
) -> None:
    with ExitStack() as callers:
        for calls in CALLS:
            callers.enter_context(caller(dsn, app_role, calls))
        callers.enter_context(caller(dsn, "postgres", "SELECT FROM budget.status; SELECT FROM budget.invariants"))
        for owner in OWNERS * 3:
            give_ledger(db, owner)
            db.execute(HAND_OVER.encode())


def test_a_way_back_waits_for_a_reader_and_no_writer_for_the_way_back(dsn: str, connect: Connect) -> None:
    chain.rollback(dsn, count=len(chain.files()) - 3)  # the next one drops the views
    reader, writer, observer = connect(autocommit=False), connect(), connect()
    reader.execute("SELECT FROM budget.status")
    with ThreadPoolExecutor(1) as pool, reader:  # which ends in any case, and with it the wait for him
        going = pool.submit(chain.rollback, dsn, all=True)
        until(lambda: observer.execute(WAITS).fetchone(), "the way back to come to the view")
        writer.execute("SET lock_timeout = '5s'")
        writer.execute("INSERT INTO public.cost_tracking (service_name, cost) VALUES ('direct', 1)")
        reader.execute("INSERT INTO public.cost_tracking (service_name, cost) VALUES ('direct', 1)")
        reader.commit()
        assert going.result()
    with pytest.raises(psycopg.errors.InvalidSchemaName):
        writer.execute("SELECT budget.version()")
