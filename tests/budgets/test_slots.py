"""Decisions in different slots at the same time: what one cannot see of the other, it has no room for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.budgets.slots import in_every_slot
from tests.budgets.standing import drift, members, set_budget
from tests.clock import Clock
from tests.concurrency.sessions import Session
from tests.rows import Connection, call, configure, reserve, rows, spend

Open = Callable[[], Session]


def reserving(cost: int) -> Callable[[Connection], bool]:
    return lambda connection: bool(call(connection, "reserve", cost, "svc").can_proceed)


@pytest.fixture
def clock(db: Connection) -> Clock:
    return Clock(db)


@pytest.fixture
def day(db: Connection, clock: Clock) -> Connection:
    """A limit of 90 on a day that stands still."""
    configure(db, {"emergency_kill": 90})
    return db


def spread(day: Connection, *amounts: int) -> None:
    """Let the day have slots with room for so much each."""
    call(day, "set_budget", "daily", None, p_slots=len(amounts))
    for _ in range(2):  # opens the balance; folds that
        reserve(day, 0)
    give(day, *amounts)


def give(day: Connection, *amounts: int) -> None:
    for slot, amount in enumerate(amounts, 1):
        day.execute("UPDATE budget.balances SET room = %s WHERE slot = %s", [amount, slot])
    assert drift(day) == []


def rooms(day: Connection) -> list[Decimal]:
    """What each slot has room for, that of slot 1 first."""
    return [row.room for row in rows(day, "SELECT b.room FROM budget.balances AS b WHERE b.slot > 0 ORDER BY b.slot")]


def spent_directly(day: Connection) -> None:
    spend(day, 40)


def spent_past_the_limit(day: Connection) -> None:
    """It was folded, and there was no room to spread."""
    spend(day, 60)
    assert not reserving(40)(day)
    assert rooms(day) == [45, 45]


def lowered(day: Connection) -> None:
    configure(day, {"emergency_kill": 50})


@pytest.mark.parametrize(
    ("happened", "cost"),
    [(spent_directly, 40), (spent_past_the_limit, 20), (lowered, 40)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_room_that_is_gone_is_missing_from_every_slot(
    day: Connection, session: Open, happened: Callable[[Connection], None], cost: int
) -> None:
    """Each of two has room in its slot, and there is room for one alone."""
    spread(day, 45, 45)
    happened(day)
    first, second = in_every_slot(session, 2)
    with first.open(reserving(cost)) as granted:
        decision = second.start(reserving(cost))
        decision.stands(first)
    assert (granted, decision.result()) == (True, False)
    assert drift(day) == []


def test_limits_that_change_while_a_decision_waits_are_those_of_its_room(day: Connection, session: Open) -> None:
    spread(day, 45, 45)
    first, holder = in_every_slot(session, 2)
    waiter = in_every_slot(session, 2)[1]
    with first.open(reserving(40)) as granted:
        assert granted
        with holder.open(reserving(0)):
            decision = waiter.start(reserving(40))
            decision.waits_for(holder)
            lowered(day)
        decision.stands(first)
    assert not decision.result()


def test_a_slot_that_is_short_takes_room_from_below(day: Connection, session: Open) -> None:
    spread(day, 90, 0, 0)
    _, middle, _ = in_every_slot(session, 3)
    assert middle.do(reserving(30))
    assert rooms(day) == [30, 60, 0]  # half of what is left, beside what is needed


def test_and_where_that_is_short_too_all_is_spread_anew(day: Connection, session: Open) -> None:
    spread(day, 0, 0, 90)
    _, middle, _ = in_every_slot(session, 3)
    assert middle.do(reserving(30))
    assert rooms(day) == [20, 50, 20]


def test_a_slot_that_another_decision_holds_is_left_out(day: Connection, session: Open) -> None:
    spread(day, 50, 40, 0)
    _, middle, last = in_every_slot(session, 3)
    with middle.open(reserving(1)):
        assert last.do(reserving(30))
    assert rooms(day) == [10, 40, 40]


def test_a_decision_that_waited_into_the_next_window_keeps_others_waiting_there(
    day: Connection, clock: Clock, session: Open
) -> None:
    spread(day, 45, 45)
    set_budget(day, "b", 10, period="minute")
    reserve(day, 10)
    first, second = in_every_slot(session, 2)
    with first.open(reserving(0)):
        second.begin()
        waiting = second.start(reserving(10))
        waiting.waits_for(first)
        clock.advance(minutes=1)
    assert waiting.result()
    decision = first.start(reserving(10))
    decision.waits_for(second)
    second.commit()
    assert not decision.result()
    assert members(day, "b") == {"*": 10}


@pytest.mark.parametrize("slots", [1, 2])
def test_decisions_in_one_slot_wait_for_each_other(day: Connection, session: Open, slots: int) -> None:
    spread(day, *[90 // slots] * slots)
    holder, waiter = (in_every_slot(session, slots)[0] for _ in range(2))
    with holder.open(reserving(30)) as granted:
        assert granted
        decision = waiter.start(reserving(61))
        decision.waits_for(holder)
    assert not decision.result()
