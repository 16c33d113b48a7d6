"""Work orders and proposers, and what routing leaves of them in the tables."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from tests.race import Connection, Job
from tests.rows import value

STRONG, GENERAL, CHEAP = "claude-sonnet-4-5", "gpt-4o", "gpt-4o-mini"

HARD_STOP = "Check the form for SQL injection"
PLAIN = "Rename the button"

Json = dict[str, Any]


def add_proposer(
    db: Connection, name: str, threshold: float | str, input_cost_per_token: object, *, active: bool | None = True
) -> None:
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, complexity_threshold, cost_profile, active)
           VALUES (%s, %s, 'test', %s, %s, %s)""",
        (name, name, threshold, Jsonb({"input_cost_per_token": input_cost_per_token}), active),
    )


def deactivate(db: Connection, *names: str) -> None:
    db.execute("UPDATE public.proposer_configs SET active = false WHERE name = ANY (%s)", [list(names)])


def add_order(db: Connection, metadata: object = None) -> UUID:
    """A work order; without metadata it has the default of its table."""
    order = uuid4()
    db.execute("INSERT INTO public.work_orders (id, title, description) VALUES (%s, 'title', 'text')", [order])
    if metadata is not None:
        db.execute("UPDATE public.work_orders SET metadata = %s WHERE id = %s", (metadata, order))
    return order


ROUTE = """SELECT budget.route_work_order(
    p_work_order_id => %s, p_task_description => %s, p_context_requirements => %s,
    p_complexity_score => %s::numeric, p_approved_by_director => %s)"""


def arguments(
    order: UUID | None, task: str | None = PLAIN, score: object = 0.5, *, approved: bool | None = True
) -> tuple[object, ...]:
    """What ROUTE takes."""
    return order, task, Jsonb(["src/"]), score, approved


def route(
    db: Connection, order: UUID | None, task: str | None = PLAIN, score: object = 0.5, *, approved: bool | None = True
) -> Json:
    """The answer of routing the order."""
    [(answer,)] = db.execute(ROUTE, arguments(order, task, score, approved=approved)).fetchall()
    assert isinstance(answer, dict)
    return answer


def routing(order: UUID, task: str = PLAIN, score: object = 0.5) -> Job[Json]:
    """Routing the order, as a job for a crowd or a session."""
    return lambda connection: route(connection, order, task, score)


def decided(db: Connection, order: UUID, task: str = PLAIN, score: object = 0.5) -> Json:
    """The decision of a routing that must succeed."""
    answer = route(db, order, task, score)
    assert answer.keys() == {"success", "routing_decision"}, answer
    assert answer["success"] is True
    decision = answer["routing_decision"]
    assert isinstance(decision, dict)
    return decision


def hold_of(decision: Json) -> UUID:
    return UUID(decision["routing_metadata"]["budget_reservation_id"])


REFUSED = {"success": False, "error": "Daily budget limit exceeded"}


def stored(db: Connection, order: UUID) -> Any:
    """The order's metadata."""
    return value(db, "SELECT metadata FROM public.work_orders WHERE id = %s", order)


def states(db: Connection, order: UUID) -> list[tuple[str, str]]:
    """State and cost of each hold that routing made for the order, oldest first."""
    return [
        (state, str(cost))
        for state, cost in db.execute(
            """SELECT metadata ->> 'type', cost FROM public.cost_tracking
               WHERE metadata #>> '{original_metadata,work_order_id}' = %s AND service_name = 'manager-routing'
               ORDER BY created_at, expires_at NULLS FIRST""",
            [str(order)],
        )
    ]


def open_holds(db: Connection, order: UUID) -> list[UUID]:
    rows = db.execute(
        "SELECT reservation_id FROM budget.open_holds WHERE metadata ->> 'work_order_id' = %s", [str(order)]
    )
    return [hold for (hold,) in rows]


def refusals(db: Connection) -> list[str]:
    """Whom the escalated refusals are about, sorted."""
    rows = db.execute(
        "SELECT context ->> 'subject' FROM public.escalations WHERE trigger_type = 'budget_refused' ORDER BY 1"
    )
    return [subject for (subject,) in rows]


def everything(db: Connection) -> list[Any]:
    """All that routing might write."""
    return [
        db.execute(f"SELECT * FROM public.{table} ORDER BY id".encode()).fetchall()
        for table in ("cost_tracking", "escalations", "work_orders")
    ]
