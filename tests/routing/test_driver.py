"""Routing from Python and from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

import pgbudget
from pgbudget import Budget, Retry, Routing
from tests.cli.terminal import COLUMNS, Done, run
from tests.conftest import Connect
from tests.driver.relay import Relay
from tests.race import Connection
from tests.routing.orders import CHEAP, GENERAL, HARD_STOP, PLAIN, STRONG, add_order, open_holds, states, stored
from tests.rows import one, spend


@pytest.fixture
def budget(connect: Connect) -> Iterator[Budget]:
    with Budget(connect(role="app")) as budget:
        yield budget


def test_a_routed_order_is_true_and_has_its_reservation(budget: Budget, db: Connection) -> None:
    order = add_order(db)
    routing = budget.route_work_order(order, PLAIN, ["src/"], 0.5, True)
    assert routing
    assert routing.reservation_id in open_holds(db, order)
    assert routing.routing_decision
    assert stored(db, order)["manager_routing"].items() >= routing.routing_decision.items()
    assert budget.settle(routing.reservation_id, Decimal("0.8")).estimated_cost == 1


@pytest.mark.parametrize(
    ("spent", "approved", "error"),
    [(100, True, "Daily budget limit exceeded"), (0, False, "Work Order must be approved by Director before routing")],
)
def test_an_order_that_is_not_routed_is_false(
    budget: Budget, db: Connection, spent: int, approved: bool, error: str
) -> None:
    spend(db, spent)
    routing = budget.route_work_order(add_order(db), PLAIN, {}, 0.5, approved)
    assert not routing
    assert routing == Routing(success=False, error=error)
    assert routing.reservation_id is None


@pytest.mark.parametrize("requirements", [None, {}, [], "text", 1, {"nested": [Decimal("0.1")]}])
def test_any_json_is_a_context_requirement(budget: Budget, requirements: object) -> None:
    assert budget.route_work_order(uuid4(), PLAIN, requirements, 0, True)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), Decimal("NaN")])
def test_a_score_that_is_no_number_is_an_invalid_argument(budget: Budget, score: float | Decimal) -> None:
    with pytest.raises(pgbudget.InvalidArgument):
        budget.route_work_order(uuid4(), PLAIN, {}, score, True)


def test_a_routing_whose_answer_was_lost_leaves_one_hold(dsn: str, db: Connection) -> None:
    """The driver repeats it, and routing again cancels the hold that nobody heard of."""
    order = add_order(db)
    with Relay(dsn) as relay, Budget(relay.dsn) as budget:
        relay.lose_answer_to("budget.route_work_order(")
        routing = budget.route_work_order(order, PLAIN, {}, 0.5, True)
        assert relay.lost == 1
    assert open_holds(db, order) == [routing.reservation_id]
    assert sorted(states(db, order)) == [("cancelled", "0"), ("reservation", "1.00")]


def test_the_other_functions_of_routing(budget: Budget, db: Connection) -> None:
    assert budget.detect_hard_stop(HARD_STOP) is True
    assert budget.detect_hard_stop(PLAIN) is False
    assert budget.retry_strategy(CHEAP, 2, "timeout") == Retry(True, "retry_stronger", GENERAL, 3, 3, "timeout")
    assert budget.retry_strategy(STRONG, 2, None) == Retry(False, "escalate", None, 3, 3, None)
    order = add_order(db)
    escalation = budget.escalate(
        "Manager",
        "routeWorkOrder",
        "it failed",
        work_order_id=order,
        severity="high",
        metadata={"cost": Decimal("0.10")},
    )
    row = one(db, "SELECT * FROM public.escalations")
    assert (row.id, row.work_order_id, row.context["cost"], row.context["severity"]) == (
        escalation,
        order,
        "0.10",
        "high",
    )


def test_keys_that_a_later_version_adds_do_no_harm(budget: Budget, db: Connection) -> None:
    db.execute("ALTER FUNCTION budget.retry_strategy(text, integer, text) RENAME TO former_retry_strategy")
    db.execute(
        """CREATE FUNCTION budget.retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text)
           RETURNS jsonb LANGUAGE sql SECURITY DEFINER
           AS $$ SELECT budget.former_retry_strategy($1, $2, $3) || '{"later": 1}' $$"""
    )
    assert budget.retry_strategy(CHEAP, 1, None).action == "retry_same"


# pgbudget route


def route(dsn: str, order: UUID, *options: str, task: str = PLAIN) -> Done:
    return run("route", str(order), "--task", task, "--score", "0.5", "--dsn", dsn, *options)


def test_the_command_shows_the_decision(dsn: str, db: Connection) -> None:
    order = add_order(db)
    spend(db, "20.5")
    done = route(dsn, order, "--approved", task=HARD_STOP)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == f"routed to {STRONG}"
    [hold] = open_holds(db, order)
    for fact in (str(hold), GENERAL, "20.50", "hard stop: yes", "hard_stop_override", "1 of"):
        assert fact in done.out
    assert max(map(len, done.out.splitlines())) <= COLUMNS


def test_the_command_speaks_json(dsn: str, db: Connection) -> None:
    order = add_order(db)
    done = route(dsn, order, "--approved", "--json", "--context", '["src/"]')
    answer = json.loads(done.out)
    assert (done.code, answer["success"], answer["error"]) == (0, True, None)
    assert stored(db, order)["manager_routing"].items() >= answer["routing_decision"].items()


@pytest.mark.parametrize(
    ("options", "spent", "says"), [((), 0, "must be approved"), (("--approved",), 100, "Daily budget limit exceeded")]
)
def test_the_command_exits_with_1_when_the_order_is_not_routed(
    dsn: str, db: Connection, options: tuple[str, ...], spent: int, says: str
) -> None:
    spend(db, spent)
    done = route(dsn, add_order(db), *options)
    assert (done.code, done.err) == (1, "")
    assert says in done.out
    assert json.loads(route(dsn, add_order(db), "--json", *options).out)["success"] is False


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nonsense", "--task", "x", "--score", "0.5"), 2),
        ((str(uuid4()), "--task", "x"), 2),
        ((str(uuid4()), "--score", "1"), 2),
        ((str(uuid4()), "--task", "x", "--score", "much"), 2),
        ((str(uuid4()), "--task", "x", "--score", "1", "--context", "{"), 2),
        ((str(uuid4()), "--task", "x", "--score", "nan", "--approved"), 1),
    ],
)
def test_the_commands_errors(dsn: str, arguments: tuple[str, ...], code: int) -> None:
    done = run("route", *arguments, "--dsn", dsn)
    assert (done.code, done.out) == (code, "")
    assert done.err
    assert "Traceback" not in done.err
