"""Temporary raises: p_extra on top of the limit until p_until, when they end by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.budgets.standing import drift, members, set_budget, standing
from tests.clock import NOON, Clock
from tests.rows import Connection, as_owner, call, expect, one, reserve

UNTIL = NOON + timedelta(minutes=30)


@pytest.mark.parametrize("slots", [1, 4])
def test_a_raise_ends_by_itself(caller: Connection, clock: Clock, slots: int) -> None:
    set_budget(caller, "b", 10, slots=slots)
    reserve(caller, 10)
    expect(call(caller, "reserve", 1, "svc"), can_proceed=False, budget="b")
    set_budget(caller, "b", 10, slots=slots, extra=5, until=UNTIL)
    expect(standing(caller, "b"), limit_amount=15, remaining=5, raised_by=5, raised_until=UNTIL)
    reserve(caller, 3)
    clock.set(UNTIL - timedelta(microseconds=1))
    reserve(caller, 1)
    clock.set(UNTIL)
    expect(
        call(caller, "reserve", 1, "svc"),
        can_proceed=False,
        budget="b",
        limit_amount=10,
        current_total=14,
        remaining=-4,
    )
    expect(standing(caller, "b"), limit_amount=10, remaining=-4, raised_by=None, raised_until=None)
    assert members(caller, "b") == {"*": 14}
    assert drift(caller) == []


@pytest.mark.parametrize("slots", [1, 4])
def test_what_was_spent_under_a_raise_leaves_no_more_room_than_there_is(
    caller: Connection, clock: Clock, slots: int
) -> None:
    """The room of a raise is gone with it, wherever it was spread."""
    set_budget(caller, "b", 10, slots=slots, extra=10, until=UNTIL)
    reserve(caller, 4)
    clock.set(UNTIL)
    expect(call(caller, "reserve", 7, "svc"), can_proceed=False, budget="b", remaining=6)
    reserve(caller, 6)
    expect(call(caller, "reserve", 1, "svc"), can_proceed=False, budget="b", remaining=0)


def test_one_that_is_over_already_raises_nothing(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "b", 10, extra=5, until=NOON)
    expect(call(caller, "reserve", 11, "svc"), can_proceed=False, reason="too_large", limit_amount=10)


def test_ending_it_early_is_setting_the_budget_without_it(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "b", 10, extra=5, until=UNTIL)
    set_budget(caller, "b", 10)
    expect(call(caller, "reserve", 11, "svc"), can_proceed=False, limit_amount=10)


def test_nothing_is_written_when_its_time_has_come(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "b", 10, extra=5, until=UNTIL)
    clock.set(UNTIL)
    reserve(caller, 1)
    with as_owner(caller):
        kept = one(caller, "SELECT b.extra, b.extra_until FROM budget.budgets AS b WHERE b.name = 'b'")
    expect(kept, extra=5, extra_until=UNTIL)
