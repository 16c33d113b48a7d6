"""A hundred work orders at once, near the limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import cycle
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.concurrency.calls import VARIANTS, reserve
from tests.conftest import Connect
from tests.race import Connection, Crowd, Job, T
from tests.routing.orders import (
    PLAIN,
    REFUSED,
    Json,
    add_order,
    hold_of,
    open_holds,
    refusals,
    routing,
    stored,
)
from tests.rows import spend, value

ORDERS = 100

ESTIMATES = {"0": Decimal("0.10"), "0.5": Decimal("1.00"), "1": Decimal("2.50")}


def patiently(job: Job[T]) -> Job[T]:
    """The job, tried again when the lock was not free in time, as the error's hint says: a slow machine needs it."""

    def run(connection: Connection) -> T:
        for _ in range(5):
            with suppress(psycopg.errors.LockNotAvailable):
                return job(connection)
        return job(connection)

    return run


@pytest.fixture
def crowd(connect: Connect) -> Iterator[Crowd]:
    with Crowd(connect() for _ in range(ORDERS)) as crowd:
        yield crowd


def check_each(db: Connection, answers: dict[UUID, Json]) -> list[UUID]:
    """Every success has its hold and its stored decision, every refusal its escalation. Returns the successes."""
    routed = [order for order, answer in answers.items() if answer["success"]]
    for order in routed:
        decision = answers[order]["routing_decision"]
        assert open_holds(db, order) == [hold_of(decision)]
        assert stored(db, order)["manager_routing"].items() >= decision.items()
    refused = answers.keys() - set(routed)
    for order in refused:
        assert answers[order] == REFUSED
        assert (open_holds(db, order), stored(db, order)) == ([], {})
    assert refusals(db) == sorted(f"work order {order}" for order in refused)
    results = db.execute("SELECT work_order_id FROM public.escalations WHERE trigger_type = 'budget_refused'")
    assert {order for (order,) in results} == refused
    return routed


@pytest.mark.proof
@pytest.mark.parametrize(("score", "fitting"), [("0", 100), ("0.5", 10), ("1", 4)])
def test_exactly_as_many_orders_are_routed_as_fit(db: Connection, crowd: Crowd, score: str, fitting: int) -> None:
    spend(db, 90)
    orders = [add_order(db) for _ in range(ORDERS)]
    answers = crowd.race([patiently(routing(order, PLAIN, score)) for order in orders])
    routed = check_each(db, dict(zip(orders, answers, strict=True)))
    assert len(routed) == fitting
    assert value(db, "SELECT held FROM budget.status") == fitting * ESTIMATES[score]
    spends = [answer["routing_decision"]["routing_metadata"]["daily_spend"] for answer in answers if answer["success"]]
    assert sorted(map(Decimal, spends)) == [90 + n * ESTIMATES[score] for n in range(fitting)]


def test_orders_of_mixed_cost_fill_the_limit_and_never_pass_it(db: Connection, crowd: Crowd) -> None:
    spend(db, 90)
    scores = {add_order(db): score for score, _ in zip(cycle(ESTIMATES), range(ORDERS), strict=False)}
    answers = crowd.race([patiently(routing(order, PLAIN, score)) for order, score in scores.items()])
    routed = check_each(db, dict(zip(scores, answers, strict=True)))
    remaining = value(db, "SELECT remaining FROM budget.status")
    assert remaining == 10 - sum(ESTIMATES[scores[order]] for order in routed) >= 0
    assert all(ESTIMATES[scores[order]] > remaining for order in scores.keys() - set(routed))


def test_orders_and_plain_reservations_share_one_limit(db: Connection, crowd: Crowd) -> None:
    """Through all three doors: routing, the table lock and the advisory lock."""
    spend(db, 90)
    orders = [add_order(db) for _ in range(ORDERS // 2)]
    variants = cycle(VARIANTS)
    jobs: list[Job[Any]] = [job for order in orders for job in (routing(order), reserve(next(variants), 1))]
    answers = crowd.race([patiently(job) for job in jobs])
    granted = [verdict for verdict in answers[1::2] if verdict.can_proceed]
    routed = [answer for answer in answers[0::2] if answer["success"]]
    assert len(routed) + len(granted) == 10
    assert value(db, "SELECT settled + held FROM budget.status") == 100
