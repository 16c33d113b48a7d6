"""Budgets are changed in every way while twelve clients reserve, settle and write: no error but those documented, no
limit passed, nobody refused for whom there was room, and at no moment a balance that is not the sum of its rows.

RUNS=100 in the environment has that many goes.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from tests.budgets.books import Books, Who
from tests.budgets.standing import drift, members, set_budget
from tests.concurrency import calls
from tests.concurrency.calls import set_limits, sqlstate
from tests.concurrency.conftest import healthy, midday
from tests.concurrency.sessions import Session
from tests.conftest import Connect
from tests.race import SECONDS, Connection, Crowd, Job
from tests.rows import call, rows, spend

pytestmark = pytest.mark.proof

__all__ = ["healthy", "midday"]

RUNS = int(os.environ.get("RUNS", "1"))
CLIENTS = 12
ADMINS = 3
CALLS = 100
SIZES = [Decimal(size) for size in ("0.9", "0.31", "0.07")]
PAIRS = [Who(f"team {team}", f"user {user}") for team, user in product(range(2), range(3))]
SHARES = {
    "reserve": 40,
    "reserve_many": 6,
    "extend": 8,
    "settle": 8,
    "settle_many": 3,
    "cancel": 6,
    "update": 4,
    "delete": 4,
    "record": 4,
    "insert": 4,
    "insert_in_a_snapshot": 3,
    "lapse": 3,
}
DOCUMENTED = {"insert_in_a_snapshot 40001"}

# What the rows of a member come to, where the last of the decisions about them was made after the budget was last set
# (`counted_from`): it left no more than the limit, and what came since only gave back. A raise that ended within the
# second before is still there for those that had found it.
OVER = """
    SELECT b.name, m.member, sum(l.cost) AS total, b.limit_amount, b.extra, b.extra_until, max(d.decided_at) AS last
      FROM budget.budgets AS b
     CROSS JOIN public.cost_tracking AS l
     CROSS JOIN LATERAL (SELECT coalesce(l.metadata -> 'original_metadata', l.metadata) ->> b.dimension AS member) AS m
     CROSS JOIN LATERAL (SELECT (l.metadata ->> 'reserved_at')::timestamptz AS decided_at) AS d
     WHERE b.name IN ('team', 'user') AND m.member NOT IN ('free', 'nobody')
     GROUP BY b.name, m.member
    HAVING max(d.decided_at) > b.counted_from
       AND sum(l.cost) > b.limit_amount
           + CASE WHEN max(d.decided_at) < b.extra_until + interval '1 second' THEN b.extra ELSE 0 END
"""


class Admin:
    """Changes everything that can be changed."""

    def __init__(self, connection: Connection, seed: int) -> None:
        self.connection = connection
        self.dice = random.Random(seed)  # noqa: S311 - the same changes for the same seed

    def change(self) -> None:
        self.dice.choice([self.limits, self.slots, self.members, self.periods, self.settings, self.upkeep])()
        time.sleep(self.dice.random() / 20)

    def limits(self) -> None:
        """Up and down, some with a raise that ends while the others go on."""
        named: dict[str, Any] = {}
        if self.dice.random() < 0.5:
            until = datetime.now(timezone.utc) + timedelta(seconds=self.dice.random() / 2)
            named = {"extra": self.dice.choice([1, 4]), "until": until}
        set_budget(
            self.connection, "team", self.dice.choice([4, 6, 9]), "team", slots=self.dice.choice([1, 4]), **named
        )

    def slots(self) -> None:
        call(self.connection, "set_budget", "daily", None, p_slots=self.dice.choice([1, 16]))
        set_budget(
            self.connection, "user", self.dice.choice([3, 5]), "user", period="day", slots=self.dice.choice([1, 3])
        )

    def members(self) -> None:
        """A budget of one member comes, rests and goes."""
        active = self.dice.random() < 0.7
        set_budget(self.connection, "one team", 5, "team", member="team 0", period="month", active=active)
        if self.dice.random() < 0.5:
            dropped = sqlstate(calls.call("drop_budget", "one team"))(self.connection)
            assert dropped == "22023" or dropped.name == "one team"  # another may have dropped it

    def periods(self) -> None:
        """A budget that refuses nobody, of any length and in any zone."""
        period = self.dice.choice(["minute", "hour", "day", "week", "month", "total"])
        zone = self.dice.choice([None, "UTC", "Asia/Tokyo"])
        set_budget(
            self.connection,
            "any",
            1000,
            self.dice.choice(["*", "service", "user"]),
            period=period,
            timezone=zone,
            enforcement=self.dice.choice(["warn", "block"]),
            slots=self.dice.choice([1, 2]),
        )

    def settings(self) -> None:
        """It is noon, or nearly, in the one zone and in the other."""
        hour = datetime.now(timezone.utc).hour - 12
        zone = f"Etc/GMT{hour + self.dice.choice([0, 1]):+d}"
        limits = {"emergency_kill": self.dice.choice([500, 1000])}
        call(self.connection, "set_limits", limits | ({"timezone": zone} if self.dice.random() < 0.5 else {}))
        if self.dice.random() < 0.2:
            call(self.connection, "freeze", "for a moment")
            call(self.connection, "unfreeze")

    def upkeep(self) -> None:
        rows(self.connection, self.dice.choice(["SELECT budget.prune()", "SELECT budget.expire()"]))
        assert rows(self.connection, "SELECT r.budget, r.member FROM budget.reconcile() AS r") == []


def administering(seed: int) -> Callable[[threading.Event], Job[None]]:
    def begin(over: threading.Event) -> Job[None]:
        def work(connection: Connection) -> None:
            admin = Admin(connection, seed)
            while not over.is_set():
                admin.change()

        return work

    return begin


def watching(over: threading.Event) -> Job[None]:
    """Look at one moment after another."""

    def watch(connection: Connection) -> None:
        while not over.is_set():
            assert rows(connection, "SELECT * FROM budget.invariants") == []
            assert rows(connection, OVER) == []

    return watch


def test_nobody_notices_a_change_but_by_its_limit(db: Connection, connect: Connect) -> None:
    with Crowd((connect() for _ in range(CLIENTS + ADMINS + 1)), SECONDS) as everybody:
        for run in range(RUNS):
            set_budget(db, "team", 6, "team")
            set_budget(db, "user", 4, "user")
            books, seeds = Books(), range(run * CLIENTS, (run + 1) * CLIENTS)
            everybody.race_beside(
                [*(administering(seed) for seed in seeds[:ADMINS]), watching],
                [books.client(PAIRS, SIZES, seed, CALLS, SHARES) for seed in seeds],
            )
            assert set(books.errors) <= DOCUMENTED
            assert books.refusals
            assert books.false_refusals() == []
            assert drift(db) == []
            db.execute("TRUNCATE public.cost_tracking")


def emptying(over: threading.Event) -> Job[None]:
    """As an application's tests do."""

    def empty(connection: Connection) -> None:
        while not over.is_set():
            connection.execute("TRUNCATE public.cost_tracking")
            assert rows(connection, "SELECT * FROM budget.invariants") == []
            time.sleep(0.02)

    return empty


def test_the_ledger_is_emptied_under_everybody(db: Connection, connect: Connect) -> None:
    call(db, "set_budget", "daily", None, p_slots=4)
    set_budget(db, "team", 6, "team")
    set_budget(db, "user", 4, "user", slots=2)
    books = Books()
    with Crowd((connect() for _ in range(8 + 2)), SECONDS) as everybody:
        everybody.race_beside(
            [emptying, administering(1)], [books.client(PAIRS, SIZES, seed, CALLS // 2, SHARES) for seed in range(8)]
        )
    gone = {error for error in books.errors if error.endswith("PB002")}  # what was to be ended
    assert gone
    assert set(books.errors) - gone <= DOCUMENTED
    assert drift(db) == []


def test_a_budget_that_is_set_while_the_zone_changes_has_the_windows_of_the_new_one(
    db: Connection, session: Callable[[], Session]
) -> None:
    set_limits(timezone="Etc/GMT+12")(db)
    spend(db, 3, metadata={"team": "alpha"})
    first, second = session(), session()
    with first.open(set_limits(timezone="Pacific/Kiritimati")):
        setting = second.start(calls.call("set_budget", "team", 10, "team"))
        setting.waits_for(first)
    assert setting.result().name == "team"
    assert members(db, "team") == {"alpha": 3}
    assert drift(db) == []
