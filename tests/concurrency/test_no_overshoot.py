"""Rounds of 16 clients, half through each lock, against one limit, beside a writer that never reserves."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.concurrency.calls import LIMIT, VARIANTS, cancel, change, empty_ledger, insert, reserve, settle, total
from tests.race import Connection, Crowd, Job

CLIENTS = 16
ESTIMATES = tuple(map(Decimal, ("0.01", "2.5", "5", "7.25", "10", "30")))


def variants(number: int) -> list[str]:
    """A variant for each client; who starts first goes through the one or the other lock in turn."""
    return [VARIANTS[(client + number) % 2] for client in range(CLIENTS)]


def writer(*costs: int) -> Job[Any]:
    """One that writes spend directly: these costs today, and much spend that belongs to yesterday."""
    yesterday = change(
        """INSERT INTO public.cost_tracking (service_name, cost, created_at)
           VALUES ('yesterday', 1000, now() - interval '1 day')"""
    )
    return lambda connection: [job(connection) for cost in costs for job in (insert(cost), yesterday)]


@pytest.mark.parametrize("cost", [10, 7])
def test_equal_costs_fill_the_limit_to_the_last_that_fits(
    db: Connection, crowd: Callable[[int], Crowd], cost: int
) -> None:
    clients = crowd(CLIENTS + 1)
    for number in range(100):
        empty_ledger(db)
        spent = number % 40
        insert(spent)(db)
        fitting = (100 - spent) // cost

        *verdicts, _ = clients.race([*(reserve(variant, cost) for variant in variants(number)), writer(0, 0)])

        totals = sorted(verdict.current_total for verdict in verdicts if verdict.can_proceed)
        assert totals == [spent + cost * n for n in range(min(fitting, CLIENTS))]
        assert {v.current_total for v in verdicts if not v.can_proceed} <= {spent + cost * fitting}


def test_every_decision_sees_all_the_decisions_before_it(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    clients, dice = crowd(CLIENTS + 1), random.Random(1)  # noqa: S311 - the same costs in every run
    for number in range(200):
        empty_ledger(db)
        costs = dice.choices(ESTIMATES, k=CLIENTS)

        *verdicts, _ = clients.race([*map(reserve, variants(number), costs), writer(0, 0)])

        in_order = [c for (c,) in db.execute("SELECT estimated_cost FROM budget.open_holds ORDER BY reserved_at")]
        after = list(itertools.accumulate(in_order))
        granted = [(v.current_total + cost) for v, cost in zip(verdicts, costs, strict=True) if v.can_proceed]
        assert sorted(granted) == after
        assert all(v.current_total in after for v in verdicts if not v.can_proceed)
        assert all(v.can_proceed == (v.current_total + c <= LIMIT) for v, c in zip(verdicts, costs, strict=True))


@pytest.mark.parametrize("rounds", [50, pytest.param(500, marks=pytest.mark.proof)])
def test_settling_and_cancelling_in_between_never_passes_the_limit(
    db: Connection, crowd: Callable[[int], Crowd], rounds: int
) -> None:
    clients = crowd(CLIENTS + 2)

    def client(number: int, variant: str) -> Job[Any]:
        """Reserve, end the hold and reserve once more; answers with what of it must be in the ledger afterwards."""
        dice = random.Random(number)  # noqa: S311
        first, second = dice.choices(ESTIMATES, k=2)
        actual = first * dice.randint(0, 100) / 100

        def run(connection: Connection) -> Decimal:
            booked = Decimal(0)
            if hold := granted(reserve(variant, first)(connection), first):
                end = settle(hold, actual) if dice.random() < 0.5 else cancel(hold)
                booked += end(connection).actual_cost
            return booked + (second if granted(reserve(variant, second)(connection), second) else 0)

        return run

    def granted(verdict: Any, cost: Decimal) -> Any:
        assert verdict.can_proceed == (verdict.current_total + cost <= LIMIT)
        assert verdict.reason in ({"granted"} if verdict.can_proceed else {"in_flight", "exhausted"})
        return verdict.reservation_id

    def onlooker(connection: Connection) -> Any:
        """The highest total of all that was reserved here, as committed while the others are at it."""
        return max(total(connection, "test") for _ in range(10))

    for number in range(rounds):
        empty_ledger(db)
        jobs = [client(number * CLIENTS + n, variant) for n, variant in enumerate(variants(number))]

        *booked, _, highest = clients.race([*jobs, writer(1, 2), onlooker])

        assert total(db, "test") == sum(booked)
        assert max(highest, sum(booked)) <= LIMIT
        assert total(db, "direct") == 3
