"""One routing as a whole: what it stores, what it refuses, and that an error leaves nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.clock import NOON
from tests.concurrency.sessions import Session
from tests.conftest import Connect
from tests.pgtap import is_empty, results_eq, throws_ok
from tests.race import Connection
from tests.routing.orders import (
    CHEAP,
    GENERAL,
    HARD_STOP,
    PLAIN,
    REFUSED,
    ROUTE,
    STRONG,
    add_order,
    arguments,
    deactivate,
    decided,
    everything,
    hold_of,
    open_holds,
    refusals,
    route,
    routing,
    stored,
)
from tests.rows import configure, escalations, spend, value

NOW = "2025-10-03T12:00:00.000000Z"


# What is stored


def test_the_hold_names_its_work_order(db: Connection) -> None:
    order = add_order(db)
    hold = hold_of(decided(db, order))
    results_eq(
        db,
        """SELECT reservation_id, service_name, estimated_cost::text, reserved_at, expires_at - reserved_at = '1 hour',
                  metadata
           FROM budget.open_holds""",
        [(hold, "manager-routing", "1.00", NOON, True, {"work_order_id": str(order)})],
    )


@pytest.mark.parametrize(
    "before",
    [None, "{}", '{"tags": ["a"], "deep": {"b": null}}', '{"manager_routing": "old"}', '{"manager_routing": {"x": 1}}'],
)
def test_the_decision_is_stored_beside_what_is_there(db: Connection, before: str | None) -> None:
    order = add_order(db, before)
    kept = {key: item for key, item in stored(db, order).items() if key != "manager_routing"}
    decision = decided(db, order)
    assert stored(db, order) == {**kept, "manager_routing": {**decision, "routed_at": NOW}}
    results_eq(db, "SELECT updated_at FROM public.work_orders", [(NOON,)])


def test_an_order_whose_metadata_is_null_gets_the_decision(db: Connection) -> None:
    order = add_order(db)
    db.execute("UPDATE public.work_orders SET metadata = NULL")
    decision = decided(db, order)
    assert stored(db, order) == {"manager_routing": {**decision, "routed_at": NOW}}


def test_nothing_else_of_the_order_changes(db: Connection) -> None:
    order, other = add_order(db), add_order(db)
    query = "SELECT to_jsonb(w) - ARRAY['metadata', 'updated_at'] FROM public.work_orders AS w ORDER BY w.id"
    before = db.execute(query).fetchall()
    decided(db, order)
    assert db.execute(query).fetchall() == before
    assert stored(db, other) == {}


def test_an_order_that_is_not_in_the_table_is_routed_without_being_stored(db: Connection) -> None:
    order = uuid4()
    assert [hold_of(decided(db, order))] == open_holds(db, order)
    is_empty(db, "SELECT * FROM public.work_orders")


@pytest.mark.parametrize("requirements", [None, "null", "{}", '["a"]', '"a"', "1"])
def test_no_rule_reads_the_context_requirements(db: Connection, requirements: str | None) -> None:
    call = "SELECT budget.route_work_order(%s, 'text', %s::jsonb, 0.5, true) -> 'success'"
    assert value(db, call, add_order(db), requirements) is True


def test_money_in_the_decision_is_exact_text(db: Connection) -> None:
    spend(db, "0.100000000001")
    assert decided(db, add_order(db))["routing_metadata"]["daily_spend"] == "0.100000000001"


def test_a_plain_caller_can_route_and_read_nothing(connect: Connect, db: Connection) -> None:
    app, order = connect(role="app"), add_order(db)
    assert [hold_of(decided(app, order))] == open_holds(db, order)
    assert stored(db, order)["manager_routing"]["selected_proposer"] == GENERAL
    spend(db, 99)
    assert route(app, add_order(db)) == REFUSED
    assert value(app, "SELECT budget.detect_hard_stop(%s)", HARD_STOP) is True
    assert value(app, "SELECT budget.retry_strategy(%s, 1, 'x') ->> 'proposer'", CHEAP) == CHEAP
    for table in ("work_orders", "proposer_configs", "cost_tracking", "escalations"):
        throws_ok(app, f"SELECT FROM public.{table}", None, "42501")


# What is not routed


@pytest.mark.parametrize("approved", [False, None])
def test_an_order_that_is_not_approved_is_not_routed(db: Connection, approved: bool | None) -> None:
    before, order = everything(db), uuid4()
    for given in (order, None):
        assert route(db, given, approved=approved) == {
            "success": False,
            "error": "Work Order must be approved by Director before routing",
        }
    assert everything(db) == before


def test_without_an_active_proposer_nothing_is_routed(db: Connection) -> None:
    deactivate(db, STRONG, GENERAL, CHEAP)
    db.execute("UPDATE public.proposer_configs SET active = NULL WHERE name = %s", [CHEAP])
    order = add_order(db)
    before = everything(db)
    assert route(db, order) == {"success": False, "error": "No active proposers available"}
    assert everything(db) == before


def test_proposers_that_go_while_the_routing_waits_undo_it(db: Connection, session: Callable[[], Session]) -> None:
    order, holder, router = add_order(db), session(), session()
    before = everything(db)
    with holder.open(lambda connection: connection.execute("SELECT FROM budget.reserve(1, 'other')")):
        waiting = router.start(routing(order))
        waiting.waits_for(holder)
        deactivate(db, STRONG, GENERAL, CHEAP)
        holder.rollback()
    with pytest.raises(psycopg.Error, match="no active proposers") as caught:
        waiting.result()
    assert caught.value.sqlstate == "PB005"
    assert everything(db) == before


def test_a_frozen_budget_routes_nothing(db: Connection) -> None:
    order = add_order(db)
    db.execute("SELECT FROM budget.freeze('too dear')")
    assert route(db, order) == REFUSED
    assert (open_holds(db, order), stored(db, order), refusals(db)) == ([], {}, [f"work order {order}"])
    assert "(frozen)" in value(db, "SELECT reason FROM public.escalations WHERE trigger_type = 'budget_refused'")
    db.execute("SELECT FROM budget.unfreeze()")
    decided(db, order)


def test_exempt_routing_passes_the_limit_but_stops_at_the_kill(db: Connection) -> None:
    """No limit refuses an exempt service, but at emergency_kill nothing proceeds."""
    db.execute("""SELECT FROM budget.set_limits('{"exempt_services": ["manager-routing"]}')""")
    last, beyond = add_order(db), add_order(db)
    spend(db, "99.999999999999")
    assert decided(db, last)["routing_metadata"]["budget_status"] == "hard_cap_exceeded"
    assert route(db, beyond) == REFUSED
    assert (open_holds(db, beyond), stored(db, beyond)) == ([], {})
    assert value(db, "SELECT settled + held FROM budget.status") == value(db, "SELECT 100.999999999999")
    assert refusals(db) == [f"work order {beyond}"]


# Errors


@pytest.mark.parametrize(
    ("task", "score"),
    [
        (None, 0.5),
        (PLAIN, None),
        (PLAIN, "NaN"),
        (PLAIN, "Infinity"),
        (PLAIN, "-Infinity"),
        (HARD_STOP, "NaN"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_bad_argument_writes_nothing(db: Connection, task: str | None, score: object, known: bool) -> None:
    order = add_order(db) if known else uuid4()
    assert_refused_by(db, "22023", order, task, score)


def test_an_order_has_an_id(db: Connection) -> None:
    assert_refused_by(db, "22023", None, PLAIN, 0.5)


@pytest.mark.parametrize("metadata", ["[]", '["a"]', "null", '"a"', "1", "true"])
def test_metadata_of_an_order_that_is_no_object_is_an_error(db: Connection, metadata: str) -> None:
    assert_refused_by(db, "22023", add_order(db, metadata), PLAIN, 0.5)


@pytest.mark.parametrize("limits", [None, "{}", "nonsense", '{"emergency_kill": "NaN"}'])
def test_a_broken_configuration_writes_nothing(db: Connection, limits: str | None) -> None:
    configure(db, limits)
    assert_refused_by(db, "PB005", add_order(db), PLAIN, 0.5)


def test_another_isolation_level_is_refused(connect: Connect, db: Connection) -> None:
    order = add_order(db)
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        with connect(autocommit=False) as connection:
            connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
            assert_refused_by(connection, "PB001", order, PLAIN, 0.5)


def assert_refused_by(
    connection: Connection, sqlstate: str, order: UUID | None, task: str | None, score: object
) -> None:
    before = everything(connection)
    error = throws_ok(connection, ROUTE, arguments(order, task, score), sqlstate)
    assert error.diag.message_detail
    assert error.diag.message_hint
    assert everything(connection) == before


@pytest.mark.parametrize("routed_before", [False, True])
def test_an_error_after_the_reservation_undoes_it(db: Connection, routed_before: bool) -> None:
    """The reservation, the escalations of the caps and the end of the order's earlier hold: all or nothing."""
    order = add_order(db)
    spend(db, 19)
    if routed_before:
        decided(db, order)
    else:
        spend(db, 1)
    db.execute("DELETE FROM public.escalations")
    db.execute(
        """CREATE FUNCTION public.refuse_update() RETURNS trigger LANGUAGE plpgsql
           AS $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = '53100'; END $$"""
    )
    db.execute(
        """CREATE TRIGGER refuse BEFORE UPDATE ON public.work_orders
           FOR EACH ROW EXECUTE FUNCTION public.refuse_update()"""
    )
    before = everything(db)
    throws_ok(db, ROUTE, arguments(order), "53100", "the disk is full")
    assert everything(db) == before
    db.execute("DROP TRIGGER refuse ON public.work_orders")
    assert [hold_of(decided(db, order))] == open_holds(db, order)
    assert [escalation.kind for escalation in escalations(db)] == ["budget_daily_soft_cap"]


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT FROM budget.reserve(1, 'other')",
        "SELECT FROM budget.reserve_advisory(1, 'other')",
        "SELECT FROM public.work_orders FOR UPDATE",
    ],
)
def test_the_wait_for_a_lock_is_bounded(db: Connection, session: Callable[[], Session], lock: str) -> None:
    order, holder = add_order(db), session()
    before = everything(db)

    def take(connection: Connection) -> Any:
        return connection.execute(lock.encode())

    with holder.open(take):
        db.execute("SET lock_timeout = '100ms'")
        throws_ok(db, ROUTE, arguments(order), "55P03")
        holder.rollback()
    assert everything(db) == before
    decided(db, order)
    results_eq(db, "SHOW lock_timeout", [("100ms",)])


def test_who_waits_for_an_orders_row_holds_up_nobody_else(db: Connection, session: Callable[[], Session]) -> None:
    """The order's row is taken before the decision lock."""
    order, holder, router = add_order(db), session(), session()
    with holder.open(lambda connection: connection.execute("UPDATE public.work_orders SET status = 'approved'")):
        waiting = router.start(routing(order))
        waiting.waits_for(holder)
        decided(session().connection, uuid4())
    assert waiting.result()["success"] is True
    results_eq(db, "SELECT status FROM public.work_orders", [("approved",)])
    assert len(open_holds(db, order)) == 1
