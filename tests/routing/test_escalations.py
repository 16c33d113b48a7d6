"""What a human finds of a refused work order, and what `budget.escalate` writes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.clock import Clock
from tests.pgtap import results_eq
from tests.race import Connection
from tests.routing.orders import REFUSED, add_order, decided, hold_of, refusals, route
from tests.rows import call, escalations, fails, one, spend

ESCALATE = ("escalate", "Manager", "routeWorkOrder")


def the_escalation(db: Connection) -> Any:
    return one(db, "SELECT * FROM public.escalations")


@pytest.mark.parametrize(("limit", "reason"), [(100, "exhausted"), (0, "too_large")])
def test_a_refused_work_order_is_escalated_with_its_figures(db: Connection, limit: int, reason: str) -> None:
    call(db, "set_limits", {"daily_soft_cap": 0, "daily_hard_cap": 0, "emergency_kill": limit})
    spend(db, 99 if limit else 0)
    db.execute("DELETE FROM public.escalations")
    order, total = add_order(db), "99" if limit else "0"
    assert route(db, order, score="1") == REFUSED
    [refusal] = [escalation for escalation in escalations(db) if escalation.kind == "budget_refused"]
    assert (refusal.severity, refusal.day, refusal.status) == ("critical", "2025-10-03", "pending")
    assert refusal.reason == (
        f"Daily budget limit: work order {order} was refused ({reason}). "
        f"Settled and held {total}, estimate 2.50, limit {limit}."
    )
    figures = {
        "work_order_id": str(order),
        "verdict_reason": reason,
        "current_total": total,
        "estimated_cost": "2.50",
        "limit_amount": str(limit),
        "remaining": "1" if limit else "0",
    }
    assert refusal.context.items() >= figures.items()
    assert {"component", "operation", "error", "severity", "subject"} <= refusal.context.keys()
    results_eq(db, "SELECT work_order_id FROM public.escalations WHERE trigger_type = 'budget_refused'", [(order,)])


def test_a_refusal_is_escalated_once_a_work_order_and_day(db: Connection, clock: Clock) -> None:
    """In place of the escalation that a refused service gets."""
    orders = sorted(add_order(db) for _ in range(3))
    subjects = [f"work order {order}" for order in orders]
    for day in (1, 2):
        spend(db, 100)
        assert [route(db, order) for order in orders for _ in range(2)] == [REFUSED] * 6
        assert refusals(db) == sorted(subjects * day)
        clock.advance(days=1)


def test_the_service_itself_is_escalated_where_no_order_is_concerned(db: Connection) -> None:
    spend(db, 100)
    order = add_order(db)
    route(db, order)
    assert not call(db, "reserve", 1, "manager-routing").can_proceed
    assert refusals(db) == ["manager-routing", f"work order {order}"]


def test_an_order_that_is_not_in_the_table_is_named_in_the_context_alone(db: Connection) -> None:
    spend(db, 100)
    order = uuid4()
    route(db, order)
    results_eq(
        db,
        """SELECT work_order_id, context ->> 'work_order_id' FROM public.escalations
           WHERE trigger_type = 'budget_refused'""",
        [(None, str(order))],
    )


def test_a_granted_order_escalates_the_caps_that_it_reaches_alone(db: Connection) -> None:
    spend(db, "18.99")
    decided(db, add_order(db))
    assert escalations(db) == []
    decided(db, add_order(db))
    assert [escalation.kind for escalation in escalations(db)] == ["budget_daily_soft_cap"]


@pytest.mark.parametrize("known", [True, False])
def test_escalate_writes_one_pending_row(db: Connection, clock: Clock, known: bool) -> None:
    order = add_order(db) if known else uuid4()
    [(escalation,)] = db.execute(
        "SELECT budget.escalate('Manager', 'routeWorkOrder', 'no proposer', %s, 'high', %s)",
        (order, Jsonb({"attempt": 3, "severity": "none"})),
    ).fetchall()
    row = the_escalation(db)
    assert (row.id, row.status, row.created_at, row.resolved_at) == (escalation, "pending", clock.now, None)
    assert (row.trigger_type, row.reason) == ("error", "Manager, routeWorkOrder: no proposer")
    assert row.work_order_id == (order if known else None)
    assert row.context == {
        "component": "Manager",
        "operation": "routeWorkOrder",
        "error": "Manager, routeWorkOrder: no proposer",
        "severity": "high",
        "work_order_id": str(order),
        "attempt": 3,
    }


def test_escalate_needs_no_more_than_component_operation_and_error(db: Connection) -> None:
    call(db, *ESCALATE, "no proposer")
    row = the_escalation(db)
    assert (row.work_order_id, row.context["severity"], row.context["work_order_id"]) == (None, "critical", None)


def test_each_call_of_escalate_is_a_row_of_its_own(db: Connection) -> None:
    for _ in range(2):
        call(db, *ESCALATE, "no proposer")
    assert len(escalations(db)) == 2


@pytest.mark.parametrize(
    "args",
    [
        (None, "b", "c"),
        ("a", None, "c"),
        ("a", "b", None),
        ("", "b", "c"),
        ("a", "", "c"),
        ("a", "b", ""),
        ("a", "b", "c", None, ""),
        ("a", "b", "c", None, None),
        ("a", "b", "c", None, "high", Jsonb([])),
        ("a", "b", "c", None, "high", {"x": "y" * 2**16}),
        ("a", "b", "c" * 2**16),
    ],
)
def test_an_escalation_that_nobody_could_read_is_an_error(db: Connection, args: tuple[object, ...]) -> None:
    fails(db, "22023", "escalate", *args)
    assert escalations(db) == []


def test_the_escalations_of_an_order_go_with_it(db: Connection) -> None:
    order, other = add_order(db), add_order(db)
    hold = hold_of(decided(db, order))
    spend(db, 100)
    route(db, order)
    route(db, other)
    db.execute("DELETE FROM public.work_orders WHERE id = %s", [order])
    assert refusals(db) == [f"work order {other}"]
    results_eq(db, "SELECT count(*) FROM public.cost_tracking WHERE id = %s", [(1,)], [hold])
