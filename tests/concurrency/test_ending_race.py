"""Two calls race for one hold. Whoever comes first, both answers fit the cost that stays, and no spend is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.concurrency.calls import answer, holds, set_limits, sqlstate, total
from tests.concurrency.races import ONE_HOLD, End, Race
from tests.race import Connection, Crowd


def hold_for(race: Race, db: Connection) -> UUID:
    [hold] = holds(db, 1, 5, ttl="1 microsecond" if race.day.lapsed else None)
    return hold


def ledger(db: Connection) -> dict[UUID, int]:
    return dict(db.execute("SELECT id, cost FROM public.cost_tracking").fetchall())


@pytest.fixture(autouse=True)
def room(db: Connection) -> None:
    """Limits that nothing here comes near."""
    set_limits(daily_soft_cap=10**6, daily_hard_cap=10**6, emergency_kill=10**6)(db)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("race", "rounds"),
    [(race, 1000 if name == "settle, cancel" else 100) for name, race in ONE_HOLD.items()],
    ids=ONE_HOLD,
)
def test_raced(db: Connection, crowd: Callable[[int], Crowd], race: Race, rounds: int) -> None:
    clients, ends, booked = crowd(2), Counter[End](), dict[UUID, int]()
    number = 0
    while number < rounds or not {race.left_first, race.right_first} <= set(ends):
        number += 1
        assert number <= 20 * rounds, f"one of the two never came first: no race was held, but {ends}"
        hold = hold_for(race, db)
        jobs = [sqlstate(race.left(hold)), sqlstate(race.right(hold))]
        # Neither side is always the one whose thread wakes first.
        left, right = clients.race(jobs) if number % 2 else reversed(clients.race(jobs[::-1]))
        cost = ledger(db).get(hold)
        end = End(str(answer(left)), str(answer(right)), "no row" if cost is None else str(cost))
        assert end in race.ends()
        ends[end] += 1
        if cost is not None:
            booked[hold] = cost
    assert ledger(db) == booked
    assert total(db) == sum(booked.values())
