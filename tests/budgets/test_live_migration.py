"""The series comes to a ledger in use, and goes again: what its callers find who were on their way meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pgbudget.migrations import series_dir
from tests.budgets.standing import set_budget
from tests.concurrency.calls import total
from tests.concurrency.conftest import midday, session
from tests.concurrency.sessions import Session
from tests.race import Connection, Job
from tests.rows import call

__all__ = ["midday", "session"]

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
