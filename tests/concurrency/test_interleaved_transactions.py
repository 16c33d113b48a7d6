"""Transactions of several steps, in every order of their steps: isolation levels, savepoints, deadlocks, lock timeouts.

The day is at 85 of 100 each time, of which an open hold has 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.concurrency.calls import (
    UNDER_TABLE_LOCK,
    cancel,
    change,
    empty_ledger,
    extend,
    holds,
    insert,
    record,
    reserve,
    settle,
)
from tests.concurrency.interleavings import COMMIT, LEFT, RIGHT, Interleaving, Named, Order, Trace, merges
from tests.concurrency.races import says
from tests.concurrency.sessions import Session
from tests.pgtap import is_empty
from tests.race import Connection, Job
from tests.rows import value
from tests.series import by_series

Sides = Callable[[UUID], tuple[list[Named], list[Named]]]
Seen = tuple[Order, Trace, int]
"""An order, what was seen, and the day's total in the end."""

DEADLOCK = "40P01"
STALE = "40001"

ISOLATION = pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
EITHER = pytest.mark.parametrize("variant", ["reserve", "reserve_advisory"])


class Arena:
    """Two sessions, and a day that is made anew for every order."""

    def __init__(self, db: Connection, sessions: tuple[Session, Session]) -> None:
        self._db = db
        self._sessions = sessions

    def every_order(self, sides: Sides, *, patient: bool = True) -> Iterator[Seen]:
        """Run all orders, and give those that are possible."""
        for order in merges(*map(len, sides(UUID(int=0)))):
            empty_ledger(self._db)
            insert(80)(self._db)
            [hold] = holds(self._db, 1, 5)
            trace = Interleaving(self._sessions, sides(hold), patient=patient).run(order)
            is_empty(self._db, "SELECT * FROM budget.invariants")
            if trace.is_possible:
                yield order, trace, int(value(self._db, "SELECT settled + held FROM budget.status"))


@pytest.fixture
def arena(db: Connection, session: Callable[[], Session]) -> Arena:
    left, right = session(), session()
    for one in (left, right):
        one.connection.execute("SET deadlock_timeout = '20ms'")
    return Arena(db, (left, right))


def call(job: Job[Any], name: str = "call") -> Named:
    return Named(name, job)


def isolation(level: str) -> Named:
    return call(change(f"SET TRANSACTION ISOLATION LEVEL {level}"), "level")


READ = call(change("SELECT FROM public.cost_tracking"), "read")


def place(order: Order, who: int, nth: int) -> int:
    """When a session's nth step comes."""
    return [place for place, one in enumerate(order) if one == who][nth]


def victims(trace: Trace) -> int:
    return sum(answer == DEADLOCK for answers in trace.answers for answer in answers.values())


# -------------------------------------------------------------------------------------------------- isolation levels


@ISOLATION
@pytest.mark.parametrize("function", ["reserve", "reserve_advisory", "extend"])
def test_a_decision_on_a_snapshot_is_refused_whatever_others_do(arena: Arena, level: str, function: str) -> None:
    """A sum of before the lock would let it pass the limit."""
    for _, trace, total in arena.every_order(
        lambda hold: (
            [isolation(level), READ, call(extend(hold, 15) if function == "extend" else reserve(function, 15)), COMMIT],
            [call(reserve("reserve", 15)), COMMIT],
        )
    ):
        assert trace.answers[LEFT]["call"] == "PB001", trace.story
        assert says(trace.answers[RIGHT]["call"], "granted 85"), trace.story
        assert total == 100


@ISOLATION
def test_a_settle_on_a_snapshot_is_never_lost(arena: Arena, level: str) -> None:
    """If the hold was changed since the snapshot, it is told so, and may try again."""
    ends = Counter[Any]()
    for order, trace, total in arena.every_order(
        lambda hold: ([isolation(level), READ, call(settle(hold, 9)), COMMIT], [call(cancel(hold)), COMMIT])
    ):
        said, cancelled = trace.answers[LEFT]["call"], trace.answers[RIGHT]["call"]
        snapshot, settled = place(order, LEFT, 1), place(order, LEFT, 2)
        if place(order, RIGHT, 1) < snapshot:
            want = ("late actual", "cancelled", 89)
        elif settled < place(order, RIGHT, 0):
            want = ("actual", "PB004", 89)
        else:
            want = (STALE, "cancelled", 80)
        assert (says(said, want[0]), says(cancelled, want[1]), total) == (True, True, want[2]), trace.story
        ends[want] += 1
    assert len(ends) == 3


# --------------------------------------------------------------------------------------------------------- savepoints


@EITHER
def test_what_a_savepoint_takes_back_holds_up_nobody(arena: Arena, variant: str) -> None:
    """The lock goes with the hold: whoever waited is let through, and counts nothing of it."""
    for order, trace, total in arena.every_order(
        lambda _: (
            [
                call(change("SAVEPOINT before"), "save"),
                call(reserve(variant, 15)),
                call(change("ROLLBACK TO before"), "back"),
                COMMIT,
            ],
            [call(reserve(variant, 15)), COMMIT],
        )
    ):
        decided, back = place(order, LEFT, 1), place(order, LEFT, 2)
        right = place(order, RIGHT, 0)
        assert says(trace.answers[RIGHT]["call"], "granted 85"), trace.story
        assert says(trace.answers[LEFT]["call"], "granted 85" if decided < right else "in_flight 100"), trace.story
        assert ((RIGHT, "call") in trace.waited) == (decided < right < back), trace.story
        assert total == 100


# ---------------------------------------------------------------------------------- several calls in one transaction


@EITHER
@pytest.mark.parametrize("write", [insert(1), record(1)], ids=["insert", "record"])
def test_writing_and_then_reserving_deadlocks_under_the_table_lock_alone(
    arena: Arena, variant: str, write: Job[Any]
) -> None:
    """There, once both have written before either has reserved, one of them is ended. The limit is never passed."""
    deadlocks = 0
    for order, trace, total in arena.every_order(
        lambda _: (
            [call(write, "write"), call(reserve(variant, 7)), COMMIT],
            [call(write, "write"), call(reserve(variant, 7)), COMMIT],
        )
    ):
        wrote, reserved = ([place(order, who, nth) for who in (LEFT, RIGHT)] for nth in (0, 1))
        deadlock = variant in UNDER_TABLE_LOCK and max(wrote) < min(reserved)
        assert victims(trace) == deadlock, trace.story
        deadlocks += deadlock
        granted = sum(says(answers["call"], "granted") for answers in trace.answers)
        assert (granted, total) == (1, 93 if deadlock else 94), trace.story
    assert (deadlocks > 0) == (variant in UNDER_TABLE_LOCK)


def test_settling_and_then_reserving_meets_an_extension_of_the_hold_without_a_deadlock(arena: Arena) -> None:
    """Both take the hold's row first and the decision lock after it."""
    for _, trace, _ in arena.every_order(
        lambda hold: (
            [call(settle(hold, 5), "settle"), call(reserve("reserve_advisory", 10)), COMMIT],
            [call(extend(hold, 6)), COMMIT],
        )
    ):
        assert victims(trace) == 0, trace.story
        assert says(trace.answers[LEFT]["settle"], "actual"), trace.story


def test_reserving_and_then_settling_meets_another_end_of_the_hold_without_a_deadlock(arena: Arena) -> None:
    """Who waits for the table does so before it takes the hold's row."""
    won_at = by_series(core=0, budgets=1)  # under the table lock nobody else can end the hold any more
    for order, trace, _ in arena.every_order(
        lambda hold: (
            [call(reserve("reserve", 10)), call(settle(hold, 5), "settle"), COMMIT],
            [call(cancel(hold)), COMMIT],
        )
    ):
        assert victims(trace) == 0, trace.story
        is_first = place(order, LEFT, won_at) < place(order, RIGHT, 0)
        assert says(trace.answers[LEFT]["settle"], "actual" if is_first else "late actual"), trace.story
        assert says(trace.answers[RIGHT]["call"], "PB004" if is_first else "cancelled"), trace.story


def test_reserving_under_the_advisory_lock_and_then_settling_may_deadlock_with_an_extension(arena: Arena) -> None:
    """Against the order of locks: the decision lock first, a hold's row after it. One of the two is ended."""
    deadlocks = 0
    for order, trace, total in arena.every_order(
        lambda hold: (
            [call(reserve("reserve_advisory", 10)), call(settle(hold, 5), "settle"), COMMIT],
            [call(extend(hold, 5)), COMMIT],
        )
    ):
        crossed = place(order, LEFT, 0) < place(order, RIGHT, 0) < place(order, LEFT, 1)
        assert victims(trace) == crossed, trace.story
        deadlocks += crossed
        left_fell = trace.answers[LEFT]["settle"] == DEADLOCK
        assert total == (85 if left_fell else 95), trace.story
    assert deadlocks > 0


# ------------------------------------------------------------------------------------------------------- lock timeout


@EITHER
def test_who_waits_too_long_is_told_so_and_reserves_nothing(arena: Arena, variant: str) -> None:
    side = [call(change("SET LOCAL lock_timeout = '20ms'"), "bound"), call(reserve(variant, 10)), COMMIT]
    for order, trace, total in arena.every_order(lambda _: (side, side), patient=False):
        first, second = sorted((LEFT, RIGHT), key=lambda who: place(order, who, 1))
        waits = place(order, second, 1) < place(order, first, 2)
        assert says(trace.answers[first]["call"], "granted 85"), trace.story
        assert says(trace.answers[second]["call"], "55P03" if waits else "in_flight 95"), trace.story
        assert total == 95, trace.story
