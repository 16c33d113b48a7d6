"""A call that is ended in its middle, by a time limit, a cancel or its session's end, leaves nothing behind.

How long a call waits for a lock at most is in tests/concurrency/test_lock_wait.py.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.concurrency.calls import VARIANTS, call, change, extend, record, reserve, settle, total
from tests.conftest import Connect
from tests.faults import promises
from tests.faults.load import Load, Settings
from tests.faults.promises import ADMINISTRATION, CALLS
from tests.race import SECONDS, Connection, Job, until
from tests.rows import value
from tests.security.calls import OWN_TABLES
from tests.series import by_series

pytestmark = pytest.mark.proof

TABLES = ("public.cost_tracking", "public.escalations", *OWN_TABLES)

HOLD, ANOTHER = UUID(int=1), UUID(int=2)

A_LONG_DAY = by_series(
    core="""INSERT INTO public.cost_tracking (service_name, cost)
            SELECT 'direct', 0.0001 FROM generate_series(1, 100000)""",
    budgets="""SELECT budget.set_budget('services', 100, 'service');
               SELECT budget.reserve_many(jsonb_agg(jsonb_build_object(
                   'estimated_cost', 0.0001, 'service_name', 'service ' || n % 1000)))
                 FROM generate_series(1, 10000) AS n;
               UPDATE public.cost_tracking SET expires_at = created_at WHERE service_name <> 'test';
               SET session_replication_role = replica;
               INSERT INTO public.cost_tracking (service_name, cost) VALUES ('restored', 0.0001);
               RESET session_replication_role""",
)
"""So much that its sum takes many times longer than all else in a call: spend, or holds that have lapsed, with as many
balances to fold, and one to repair."""

SUM = "sum(l.cost)"

JOBS: list[tuple[str, Job[Any]]] = [
    (SUM, extend(HOLD, 2)),
    (SUM, settle(HOLD, 3)),  # above its estimate: the day is summed
    (SUM, record(10)),
    *by_series(
        core=[(SUM, reserve(variant, 10)) for variant in VARIANTS],
        budgets=[
            ("budget.expire(", reserve("reserve", 10)),
            ("budget.expire(", call("reserve_many", Jsonb([{"estimated_cost": 10, "service_name": "test"}]))),
            (SUM, call("settle_many", Jsonb([{"reservation_id": str(ANOTHER), "actual_cost": 3}]))),
            ("budget._fold(", call("prune")),
            (SUM, change("SELECT budget.reconcile()")),
            (SUM, call("set_budget", "services", 90, "service")),
        ],
    ),
]
"""Calls that take long, and where."""


def test_a_statement_timeout_in_the_middle_of_what_takes_long(db: Connection, connect: Connect) -> None:
    hasty = connect()
    for hold in (HOLD, ANOTHER):
        reserve("reserve", 1, p_reservation_id=hold)(db)
    db.execute(A_LONG_DAY.encode())
    db.execute("ANALYZE public.cost_tracking")
    for where, job in JOBS:
        before = fingerprints(db)
        for tries in range(50):  # with ever more time, so that however slow a machine is, one comes that far
            hasty.execute(f"SET statement_timeout = {round(3 * 1.1**tries)}".encode())
            with pytest.raises(psycopg.errors.QueryCanceled) as ended:
                job(hasty)
            assert locks(db, hasty) == 0
            if where in str(ended.value.diag.context):
                break
        else:
            pytest.fail(f"none of them had come to {where}, but to {ended.value.diag.context}")
        assert fingerprints(db) == before
        job(db)
    assert total(db, "test") == by_series(core=1, budgets=3) + 3 + 10 + 2 * 10
    promises.sound(db)


def fingerprints(db: Connection) -> list[str]:
    """Of every column of every row, and of where it stands, which each change would move."""
    query = "SELECT md5(string_agg(t.ctid::text || t::text, '' ORDER BY t.ctid)) FROM {} AS t"
    return [value(db, query.format(table)) for table in TABLES]


def locks(db: Connection, of: Connection) -> int:
    number: int = value(db, "SELECT count(*) FROM pg_locks WHERE pid = %s", of.info.backend_pid)
    return number


class End(NamedTuple):
    """What ends a call: a setting of the caller's, or something that is done to it."""

    sqlstate: str
    lock_timeout: str = "1min"
    statement_timeout: str = "30s"
    do: Callable[[Connection, Connection], object] = lambda *_: None


ENDS = {
    "its time is up": End("57014", statement_timeout="50ms"),
    "its patience is up": End("55P03", lock_timeout="50ms"),
    "its caller cancels": End("57014", do=lambda _, caller: caller.cancel_safe(timeout=SECONDS)),
    "its session is ended": End(
        "57P01", do=lambda db, caller: db.execute("SELECT pg_terminate_backend(%s)", [caller.info.backend_pid])
    ),
}


@pytest.mark.parametrize("name", CALLS | ADMINISTRATION)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_call_that_ends_in_the_middle_of_its_wait(db: Connection, connect: Connect, name: str, end: End) -> None:
    """Nothing is done, not even once the lock is free, and the caller's settings are as they were; a repeat does it."""
    call, before = (CALLS | ADMINISTRATION)[name](db), promises.everything(db, TABLES)
    settings = {
        "lock_timeout": end.lock_timeout,
        "statement_timeout": end.statement_timeout,
        "synchronous_commit": "off",
    }
    caller = connect(options=" ".join(f"-c {name}={value}" for name, value in settings.items()))
    with connect().transaction() as holder, ThreadPoolExecutor(1) as thread:
        holder.connection.execute("LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE")
        waiting = thread.submit(call.send, caller)
        until(lambda: waiting.done() or value(db, "SELECT count(*) FROM pg_locks WHERE NOT granted"), "it to wait")
        end.do(db, caller)
        with pytest.raises(psycopg.OperationalError) as ended:
            waiting.result(SECONDS)
        assert ended.value.sqlstate == end.sqlstate
        until(lambda: locks(db, caller) == 0, "its locks to be free")
    assert promises.everything(db, TABLES) == before
    if not caller.closed:
        assert {name: value(caller, f"SHOW {name}") for name in settings} == settings
    promises.settled_doubt(db, call)
    assert promises.ledger(db) == call.after[0]
    assert promises.everything(db, TABLES) != before
    promises.sound(db)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_reservation_whose_session_idles_until_the_server_ends_it(
    db: Connection, connect: Connect, variant: str
) -> None:
    """It was never committed: whoever waited for its lock has its room."""
    idle, other = connect(), connect()
    idle.execute("SET idle_in_transaction_session_timeout = '200ms'")
    idle.execute("BEGIN")
    assert reserve("reserve", 100)(idle).can_proceed
    assert reserve(variant, 100)(other).current_total == 0
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        idle.execute("COMMIT")


def test_a_crowd_short_of_time(dsn: str) -> None:
    """What is answered is done. What ends with an error is not, wherever in the call it came."""
    hasty: tuple[Settings, ...] = ({"lock_timeout": "1ms"}, {"statement_timeout": "2ms"}, {"statement_timeout": "5ms"})
    load = Load(dsn, "short of time", hasty, {"lock", "time"})
    with load.running(again=True):
        until(lambda: min(load.undone["lock"], load.undone["time"]) > 50, "time to be short")
        until(lambda: load.answered.total() > 200, "answers")
    load.check(dsn)
