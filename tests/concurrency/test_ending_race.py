"""Two calls race for one hold. Whoever comes first, both answers fit the cost that stays, and no spend is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from tests.concurrency.calls import (
    cancel,
    delete,
    expire,
    extend,
    holds,
    set_limits,
    settle,
    sqlstate,
    total,
    update,
)
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd, Job

Call = Callable[[UUID], Job[Any]]
Answer = str | int


class End(NamedTuple):
    """How a race ends: each side's answer (see `answer`), and what the ledger then has for the hold; None is no row."""

    left: Answer
    right: Answer
    cost: int | None


@dataclass(frozen=True)
class Race:
    left: Call
    right: Call
    left_first: End
    right_first: End
    lapsed: bool = False


def sweep(_: UUID) -> Job[Any]:
    return expire()


settle_6 = partial(settle, cost=6)
settle_7 = partial(settle, cost=7)
update_7 = partial(update, cost=7)
extend_8 = partial(extend, cost=8)

# Each for a hold of 5.
RACES = {
    "settle, cancel": Race(settle_6, cancel, End("actual", "PB004", 6), End("late actual", "cancelled", 6)),
    "settle, settle": Race(settle_6, settle_6, End("actual", "actual", 6), End("actual", "actual", 6)),
    "settle, settle at another cost": Race(settle_6, settle_7, End("actual", "PB004", 6), End("PB004", "actual", 7)),
    "settle, direct settle": Race(settle_6, update_7, End("actual", "PB004", 6), End("PB004", 1, 7)),
    "settle, direct cancel": Race(settle_6, delete, End("actual", 1, None), End("PB002", 1, None)),
    "settle, expire": Race(settle_6, sweep, End("late actual", 0, 6), End("late actual", 1, 6), lapsed=True),
    "settle, extend": Race(settle_6, extend_8, End("actual", "PB004", 6), End("actual", "granted", 6)),
    "cancel, cancel": Race(cancel, cancel, End("cancelled", "cancelled", 0), End("cancelled", "cancelled", 0)),
    "cancel, direct settle": Race(cancel, update_7, End("cancelled", 1, 7), End("PB004", 1, 7)),
    "cancel, expire": Race(cancel, sweep, End("late cancelled", 0, 0), End("late cancelled", 1, 0), lapsed=True),
    "cancel, extend": Race(cancel, extend_8, End("cancelled", "PB004", 0), End("cancelled", "granted", 0)),
    "extend, expire": Race(extend_8, sweep, End("granted", 0, 8), End("PB004", 1, 0), lapsed=True),
}


def answer(row: Any) -> Answer:
    """What a call says, in a word: the state, the verdict's reason, the number of rows or the SQLSTATE."""
    if isinstance(row, str | int):
        return row
    if hasattr(row, "status"):
        return f"late {row.status}" if row.late else str(row.status)
    return int(row.expired) if hasattr(row, "expired") else str(row.reason)


def hold_for(race: Race, db: Connection) -> UUID:
    [hold] = holds(db, 1, 5, ttl="1 microsecond" if race.lapsed else None)
    return hold


def ledger(db: Connection) -> dict[UUID, int]:
    return dict(db.execute("SELECT id, cost FROM public.cost_tracking").fetchall())


@pytest.fixture(autouse=True)
def room(db: Connection) -> None:
    """Limits that nothing here comes near."""
    set_limits(daily_soft_cap=10**6, daily_hard_cap=10**6, emergency_kill=10**6)(db)


@pytest.mark.parametrize(
    ("race", "rounds"),
    [(race, 1000 if name == "settle, cancel" else 100) for name, race in RACES.items()],
    ids=RACES,
)
def test_raced(db: Connection, crowd: Callable[[int], Crowd], race: Race, rounds: int) -> None:
    clients, ends, booked = crowd(2), Counter[End](), dict[UUID, int]()
    number = 0
    while number < rounds or set(ends) != {race.left_first, race.right_first}:
        number += 1
        assert number <= 20 * rounds, f"one of the two never came first: no race was held, but {ends}"
        hold = hold_for(race, db)
        jobs = [sqlstate(race.left(hold)), sqlstate(race.right(hold))]
        # Neither side is always the one whose thread wakes first.
        left, right = clients.race(jobs) if number % 2 else reversed(clients.race(jobs[::-1]))
        [end] = [e for e in {race.left_first, race.right_first} if e[:2] == (answer(left), answer(right))]
        ends[end] += 1
        if end.cost is not None:
            booked[hold] = end.cost
    assert ledger(db) == booked
    assert total(db) == sum(end.cost * times for end, times in ends.items() if end.cost)


ORDERS = {
    f"{name}: {'left' if left_first else 'right'} first": (race, left_first)
    for name, race in RACES.items()
    for left_first in (True, False)
}


def first_and_second(race: Race, left_first: bool) -> list[Call]:
    return [race.left, race.right] if left_first else [race.right, race.left]


@pytest.mark.parametrize(("race", "left_first"), ORDERS.values(), ids=ORDERS)
def test_one_after_the_other(db: Connection, session: Callable[[], Session], race: Race, left_first: bool) -> None:
    """The second comes before the first is committed: it waits, and then answers as to the hold that it finds."""
    hold, (first, second) = hold_for(race, db), first_and_second(race, left_first)
    holder, other = session(), session()
    with holder.open(first(hold)) as row:
        step = other.start(sqlstate(second(hold)))
        if second is not sweep:  # expire skips what others have locked
            step.waits_for(holder)
    answers = answer(row), answer(step.result())
    end = race.left_first if left_first else race.right_first
    assert (answers if left_first else answers[::-1]) == end[:2]
    assert ledger(db).get(hold) == end.cost


@pytest.mark.parametrize(("race", "left_first"), [o for o in ORDERS.values() if first_and_second(*o)[1] is not sweep])
def test_after_one_that_was_rolled_back(
    db: Connection, session: Callable[[], Session], race: Race, left_first: bool
) -> None:
    """The second answers as if the first had never been."""
    hold, (first, second) = hold_for(race, db), first_and_second(race, left_first)
    holder, other = session(), session()
    with holder.open(first(hold)):
        step = other.start(sqlstate(second(hold)))
        step.waits_for(holder)
        holder.rollback()
    assert answer(step.result()) == (race.right_first.right if left_first else race.left_first.left)
