"""A raise that ends while decisions wait: what they found of it in their slots is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.budgets.slots import in_every_slot
from tests.budgets.standing import members, set_budget
from tests.concurrency.conftest import healthy, midday
from tests.concurrency.sessions import Session
from tests.race import Connection, Job
from tests.rows import call

__all__ = ["healthy", "midday"]

SLOTS = 4


def reserving(cost: int, user: str) -> Job[Any]:
    return lambda connection: call(connection, "reserve", cost, "svc", {"user": user})


@pytest.mark.parametrize("slots", [1, SLOTS])
def test_a_raise_that_has_ended_is_given_to_nobody(db: Connection, session: Callable[[], Session], slots: int) -> None:
    """Two that had each found room in their own slots wait for something else until there is room for one alone."""
    ends_at = datetime.now(timezone.utc) + timedelta(seconds=1)
    set_budget(db, "all", 100, slots=slots, extra=60, until=ends_at, period="total")
    set_budget(db, "user", 1000, "user", period="total")
    call(db, "set_limits", {"emergency_kill": 10_000})
    call(db, "set_budget", "daily", None, p_slots=SLOTS)
    for cost in (60, 0):  # the next call spreads what the first has left
        call(db, "reserve", cost, "svc", {"user": "eve"})

    for user in ("ada", "bob"):
        reserving(0, user)(db)
    keeper, first, second = (
        one for one in in_every_slot(session, SLOTS) if one.pid % SLOTS != db.info.backend_pid % SLOTS
    )
    # Whoever else asks for the users' room, and is at it as long as this.
    keeper.begin()
    keeper.connection.execute("SELECT FROM budget.balances WHERE member IN ('ada', 'bob') FOR UPDATE")
    waiting = [first.start(reserving(25, "ada"))]
    waiting[0].waits_for(keeper)
    waiting.append(second.start(reserving(25, "bob")))
    waiting[1].waits_for(keeper if slots > 1 else first)
    time.sleep(max(0, (ends_at - datetime.now(timezone.utc)).total_seconds()))
    keeper.commit()
    assert sorted(step.result().can_proceed for step in waiting) == [False, True]
    assert members(db, "all") == {"*": 85}
