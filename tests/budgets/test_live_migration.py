"""The series comes to a ledger in use, and goes again: what its callers find who were on their way meanwhile.

RUNS=20 in the environment has that many comings and goings under load.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, ClassVar

import psycopg
import pytest

from pgbudget.embedded import Server
from pgbudget.migrations import migrate, rollback, series_dir
from tests.budgets.books import Books, Client, Time, Who
from tests.budgets.standing import set_budget
from tests.concurrency.calls import set_limits, total
from tests.concurrency.conftest import midday
from tests.concurrency.sessions import Session
from tests.migration.conftest import application, application_dsn, application_roles
from tests.pgtap import is_empty
from tests.race import SECONDS, Connection, Crowd, Job
from tests.rows import call, rows

pytestmark = pytest.mark.proof

__all__ = ["application", "application_dsn", "application_roles", "midday"]

SLOTS = 2
BACK = series_dir("budgets") / "migrations" / "0004.pgbudget_budgets_takeover.rollback.sql"


def reserving(cost: int) -> Job[Any]:
    return lambda connection: call(connection, "reserve_advisory", cost, "svc")


def in_slot(session: Callable[[], Session], slot: int) -> Session:
    """A session in this slot: which one it has goes by the number of its backend."""
    while (one := session()).pid % SLOTS != slot:
        pass
    return one


@pytest.mark.parametrize("slots", [1, SLOTS])
def test_calls_that_began_before_the_rollback_decide_one_after_the_other(
    db: Connection, session: Callable[[], Session], slots: int
) -> None:
    """They have the room of their slots before them, from which nobody takes what is granted any more."""
    set_budget(db, "team", 1000, "team", slots=slots)
    call(db, "set_budget", "daily", None, p_slots=slots)
    for cost in (10, 0):
        reserving(cost)(db)
    migration = session()
    callers = [in_slot(session, number % SLOTS) for number in range(4)]
    with migration.open(lambda connection: connection.execute(BACK.read_bytes())):
        waiting = [caller.start(opened(30)) for caller in callers]
        for step in waiting:
            step.waits_for(migration)
    granted = 0
    while waiting:
        # Each keeps its transaction open until it is seen what the others do meanwhile.
        done = [(caller, step) for caller, step in zip(callers, waiting, strict=True) if step.is_over]
        for caller, step in done:
            granted += step.result().can_proceed
            caller.commit()
        left = [(caller, step) for caller, step in zip(callers, waiting, strict=True) if (caller, step) not in done]
        callers, waiting = [caller for caller, _ in left], [step for _, step in left]
    assert (granted, total(db)) == (3, 100)


def opened(cost: int) -> Job[Any]:
    def run(connection: Connection) -> Any:
        connection.execute("BEGIN")
        return reserving(cost)(connection)

    return run


# Under load

RUNS = int(os.environ.get("RUNS", "1"))
CLIENTS = 10
LONG_SHARE = 0.8
"""Of the time that all its coming and going takes."""
LIMIT = Decimal(20)
PAIRS = [Who(f"team {number}", "somebody") for number in range(3)]
SIZES = [Decimal(size) for size in ("1.7", "0.9", "0.31", "0.07")]
SHARES = {
    "reserve": 50,
    "extend": 10,
    "settle": 10,
    "cancel": 8,
    "update": 5,
    "delete": 5,
    "book": 6,
    "record_instead": 6,
}


class AnyCaller(Client):
    """It calls the application's own function too."""

    functions: ClassVar[list[str]] = ["reserve", "reserve_advisory", "public.check_and_reserve_budget"]

    def _asked(self, who: Who, cost: Decimal, verdict: Any, during: Time) -> bool:
        if not hasattr(verdict, "reason"):
            says = SimpleNamespace(reason="exhausted", budget="daily", limit_amount=LIMIT)
            verdict = SimpleNamespace(**verdict._asdict(), **vars(says))
        return super()._asked(who, cost, verdict, during)


def calling(books: Books, seed: int) -> Callable[[threading.Event], Job[None]]:
    def begin(over: threading.Event) -> Job[None]:
        def work(connection: Connection) -> None:
            client = AnyCaller(connection, books, PAIRS, SIZES, seed)
            while not over.is_set():
                client.work(1, SHARES)

        return work

    return begin


def watching(over: threading.Event) -> Job[None]:
    """Look at one moment after another: all that is spent here was reserved."""

    def watch(connection: Connection) -> None:
        while not over.is_set():
            assert rows(connection, "SELECT * FROM budget.invariants") == []
            assert total(connection) <= LIMIT

    return watch


def setting(over: threading.Event) -> Job[None]:
    """What is set and swept meanwhile."""

    def change(connection: Connection) -> None:
        while not over.is_set():
            for cap in (1, 2):
                set_limits(daily_soft_cap=cap)(connection)
                call(connection, "expire")

    return change


def test_nobody_notices_that_it_comes_and_goes(server: Server, application_dsn: str) -> None:
    migrate(application_dsn)
    books, seconds = Books(), 0.0

    def coming_and_going(connection: Connection) -> None:
        nonlocal seconds
        begin = time.monotonic()
        for _ in range(RUNS):
            migrate(application_dsn, series="budgets")
            for slots in (8, 1, 4):
                call(connection, "set_budget", "daily", None, p_slots=slots)
                set_budget(connection, "team", 1000, "team", slots=slots)
            rollback(application_dsn, series="budgets", all=True)
        seconds = (time.monotonic() - begin) / RUNS

    with ExitStack() as opened:
        connections = [
            opened.enter_context(psycopg.connect(application_dsn, autocommit=True)) for _ in range(CLIENTS + 3)
        ]
        db = connections[-1]
        db.execute("DELETE FROM public.cost_tracking")
        set_limits(daily_soft_cap=1, daily_hard_cap=10, emergency_kill=int(LIMIT))(db)
        everybody = opened.enter_context(Crowd(connections, SECONDS))
        everybody.race_beside(
            [*(calling(books, seed) for seed in range(CLIENTS)), watching, setting], [coming_and_going]
        )
        assert books.errors == {}
        assert books.refusals
        assert books.false_refusals() == []
        assert total(db) == books.total()
        assert books.longest < LONG_SHARE * seconds
        is_empty(db, "SELECT * FROM budget.invariants")
