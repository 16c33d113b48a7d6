"""The hand-over's criteria for the budget race fix, on the routing that it changes."""

from __future__ import annotations

from decimal import Decimal

from tests.conftest import Connect
from tests.race import Connection, Crowd
from tests.routing.orders import HARD_STOP, REFUSED, add_order, decided, hold_of, route, routing, states
from tests.rows import call, rows, spend, value

THE_HANDOVERS_QUERY = "SELECT * FROM escalations WHERE reason LIKE '%budget%' ORDER BY created_at DESC LIMIT 5"


def test_routing_uses_budget_reservations(db: Connection) -> None:
    order = add_order(db)
    hold = hold_of(decided(db, order, HARD_STOP))
    row = rows(db, "SELECT * FROM cost_tracking WHERE id = %s", hold)[0]
    assert (row.service_name, row.cost) == ("manager-routing", Decimal("2.50"))
    assert row.metadata["type"] == "reservation"
    assert row.metadata["original_metadata"] == {"work_order_id": str(order)}


def test_only_one_of_two_concurrent_requests_succeeds_at_the_limit(db: Connection, connect: Connect) -> None:
    spend(db, "97.50")
    with Crowd([connect(), connect()]) as crowd:
        for _ in range(20):
            db.execute("DELETE FROM cost_tracking WHERE service_name = 'manager-routing'")
            answers = crowd.race([routing(add_order(db), HARD_STOP) for _ in range(2)])
            assert sorted(answer["success"] for answer in answers) == [False, True]
            assert REFUSED in answers
            assert value(db, "SELECT settled + held FROM budget.status") == 100


def test_a_refusal_and_an_overrun_create_an_escalation_that_is_found(db: Connection) -> None:
    order, refused = add_order(db), add_order(db)
    spend(db, "97.50")
    hold = hold_of(decided(db, order, HARD_STOP))
    assert route(db, refused) == REFUSED
    assert call(db, "settle", hold, 5).over_limit
    kinds = {row.trigger_type: row for row in rows(db, THE_HANDOVERS_QUERY)}
    assert kinds["budget_refused"].work_order_id == refused
    assert kinds["budget_refused"].context["severity"] == "critical"
    assert str(hold) == kinds["budget_overrun"].context["subject"]
    assert len(kinds) == 5  # the two, and the three caps that the day has reached


def test_cancelling_after_a_failed_call_frees_the_money(db: Connection) -> None:
    failed, waiting = add_order(db), add_order(db)
    spend(db, 99)
    hold = hold_of(decided(db, failed))
    assert route(db, waiting) == REFUSED
    assert call(db, "cancel", hold, "the model timed out").status == "cancelled"
    assert states(db, failed) == [("cancelled", "0")]
    decided(db, waiting)
