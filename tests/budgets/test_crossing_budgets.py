"""Sixteen clients reserve for teams and users that cross: no deadlock, no limit passed, and each filled to the end.

RUNS=100 in the environment has that many goes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from decimal import Decimal
from itertools import product

import pytest

from tests.budgets.books import DIMENSIONS, Books, Client, Who
from tests.budgets.standing import drift, members, set_budget
from tests.concurrency.conftest import healthy, midday
from tests.race import Connection, Crowd, Job
from tests.rows import call, rows

pytestmark = pytest.mark.proof

__all__ = ["healthy", "midday"]

RUNS = int(os.environ.get("RUNS", "1"))
CLIENTS = 16
CALLS = 30
Each = dict[str, int]
CASES: list[tuple[Each, Each]] = [
    ({"daily": 40, "team": 13, "user": 6}, {"daily": 1, "team": 1, "user": 1}),
    ({"daily": 25, "team": 13, "user": 9}, {"daily": 8, "team": 1, "user": 1}),
    ({"daily": 50, "team": 8, "user": 9}, {"daily": 8, "team": 4, "user": 2}),
]
"""Limits, and over how many slots the room is spread: now this budget is full first, now that one."""
SIZES = [Decimal(size) for size in ("1.7", "0.9", "0.31", "0.07")]
PAIRS = [Who(f"team {team}", f"user {user}") for team, user in product(range(4), range(6))]
SHARES = {
    "reserve": 50,
    "reserve_many": 10,
    "extend": 10,
    "settle": 10,
    "settle_many": 4,
    "cancel": 8,
    "update": 4,
    "delete": 4,
}


def watching(over: threading.Event) -> Job[None]:
    """Look at one moment after another."""

    def watch(connection: Connection) -> None:
        while not over.is_set():
            assert rows(connection, "SELECT * FROM budget.budget_status AS s WHERE s.remaining < 0") == []

    return watch


def filling(books: Books, seed: int) -> Job[None]:
    """Reserve for everybody as long as there is room, the larger amounts first."""

    def fill(connection: Connection) -> None:
        client = Client(connection, books, PAIRS, SIZES, seed)
        for size in SIZES:
            for who in client.dice.sample(PAIRS, len(PAIRS)):
                while client.ask(who, size):
                    pass

    return fill


@pytest.mark.parametrize(("limits", "slots"), CASES, ids=str)
def test_each_is_filled_to_within_the_smallest_request(
    db: Connection, crowd: Callable[[int], Crowd], limits: Each, slots: Each
) -> None:
    call(db, "set_limits", dict.fromkeys(("daily_soft_cap", "daily_hard_cap", "emergency_kill"), limits["daily"]))
    call(db, "set_budget", "daily", None, p_slots=slots["daily"])
    for name, period in {"team": "day", "user": "month"}.items():
        set_budget(db, name, limits[name], name, period=period, slots=slots[name])
    everybody = crowd(CLIENTS + 1)
    for run in range(RUNS):
        books, seeds = Books(), range(run * CLIENTS, (run + 1) * CLIENTS)
        everybody.race_beside([watching], [books.client(PAIRS, SIZES, seed, CALLS, SHARES) for seed in seeds])
        everybody.race_beside([watching], [filling(books, seed) for seed in seeds])
        counted = {name: members(db, name) for name in limits}
        for name, limit in limits.items():
            assert max(counted[name].values()) <= limit, name
        assert drift(db) == []
        assert books.errors == {}
        assert books.refusals
        assert books.false_refusals() == []
        for who in PAIRS:
            left = [limit - counted[name].get(who.member(DIMENSIONS[name]), 0) for name, limit in limits.items()]
            assert min(left) < min(SIZES), who
        db.execute("TRUNCATE public.cost_tracking")
