"""A call that is ended in its middle, by a time limit, a cancel or its session's end, leaves nothing behind.

How long anyone waits for a lock at most is in tests/concurrency/test_lock_wait.py.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from tests.concurrency.calls import VARIANTS, extend, record, reserve, settle, total, value
from tests.conftest import Connect
from tests.faults import promises
from tests.faults.load import Load, Settings
from tests.faults.promises import CALLS
from tests.race import SECONDS, Connection, until


def a_long_day(db: Connection) -> None:
    """So much small spend that its sum takes many times longer than all else in a call."""
    db.execute(
        """INSERT INTO public.cost_tracking (service_name, cost)
           SELECT 'direct', 0.0001 FROM generate_series(1, 100000)"""
    )
    db.execute("ANALYZE public.cost_tracking")


def test_a_statement_timeout_in_the_middle_of_the_sum(db: Connection, connect: Connect) -> None:
    hold, new, hasty = uuid4(), uuid4(), connect()
    reserve("reserve", 1, p_reservation_id=hold)(db)
    a_long_day(db)
    for job in (
        extend(hold, 2),
        settle(hold, 3),  # above its estimate: the day is summed
        record(10, p_id=new),
        *(reserve(variant, 10, p_reservation_id=uuid4()) for variant in VARIANTS),
    ):
        hasty.execute("SET statement_timeout = '3ms'")
        before = promises.ledger(db, hold, new)
        for _ in range(20):
            with pytest.raises(psycopg.errors.QueryCanceled) as ended:
                job(hasty)
            assert locks(db, hasty) == 0
            if "sum(l.cost)" in str(ended.value.diag.context):
                break
        else:
            pytest.fail("none of them had come to the sum")
        assert promises.ledger(db, hold, new) == before
        hasty.execute("SET statement_timeout = '30s'")
        job(hasty)
    assert total(db, "test") == 3 + 10 + 2 * 10
    promises.sound(db)


def locks(db: Connection, of: Connection) -> int:
    number: int = value(db, "SELECT count(*) FROM pg_locks WHERE pid = %s", of.info.backend_pid)
    return number


ENDS: dict[str, tuple[str, Callable[[Connection, Connection], object]]] = {
    "its time is up": ("57014", lambda *_: None),
    "its caller cancels": ("57014", lambda _, caller: caller.cancel_safe(timeout=SECONDS)),
    "its session is ended": (
        "57P01",
        lambda db, caller: db.execute("SELECT pg_terminate_backend(%s)", [caller.info.backend_pid]),
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("sqlstate", "end"), ENDS.values(), ids=ENDS)
def test_a_call_that_ends_in_the_middle_of_its_wait(
    db: Connection, connect: Connect, name: str, sqlstate: str, end: Callable[[Connection, Connection], object]
) -> None:
    """Nothing is done, not even once the lock is free; a repeat does it."""
    call, caller, before = CALLS[name](db), connect(), promises.ledger(db)
    caller.execute("SET lock_timeout = '1min'")
    if end is ENDS["its time is up"][1]:
        caller.execute("SET statement_timeout = '50ms'")
    with connect().transaction() as holder, ThreadPoolExecutor(1) as thread:
        holder.connection.execute("LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE")
        waiting = thread.submit(call.send, caller)
        until(lambda: waiting.done() or value(db, "SELECT count(*) FROM pg_locks WHERE NOT granted"), "it to wait")
        end(db, caller)
        with pytest.raises(psycopg.OperationalError) as ended:
            waiting.result(SECONDS)
        assert ended.value.sqlstate == sqlstate
        until(lambda: locks(db, caller) == 0, "its locks to be free")
    assert promises.ledger(db) == before
    if not caller.closed:
        assert value(caller, "SHOW lock_timeout") == "1min"
    promises.settled_doubt(db, call)
    assert promises.ledger(db) == call.after[0]
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
