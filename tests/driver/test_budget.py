"""Every function through both clients: exact money, typed results, errors, versions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.numeric import FloatLoader

import pgbudget
from pgbudget import AsyncBudget, Budget, BudgetError, Expired, Freeze, History, Limits, Outcome, Retry, Verdict
from pgbudget._functions import Functions
from tests.conftest import Connect
from tests.driver.conftest import Open
from tests.race import Connection
from tests.rows import ledger, ledger_size
from tests.series import by_series

METHODS = [name for name in vars(Functions) if not name.startswith("_")]


# A call of each function


def test_a_hold_is_settled(any_budget: Budget, db: Connection) -> None:
    before = datetime.now(timezone.utc)
    verdict = any_budget.reserve(Decimal("10.25"), "svc", {"model": "m"}, ttl=timedelta(minutes=10))
    assert verdict == Verdict(
        can_proceed=True,
        current_total=Decimal(0),
        reservation_id=verdict.reservation_id,
        reason="granted",
        budget="daily",
        limit_amount=Decimal(100),
        remaining=Decimal(100),
        resets_at=verdict.resets_at,
        retry_at=None,
        expires_at=verdict.expires_at,
    )
    assert verdict.expires_at
    assert timedelta(minutes=9) < verdict.expires_at - before < timedelta(minutes=11)
    row = ledger(db, verdict.reservation_id)  # another connection sees it: it is committed
    assert (row.cost, row.service_name, row.metadata["type"]) == (Decimal("10.25"), "svc", "reservation")
    assert row.metadata["original_metadata"] == {"model": "m"}

    assert verdict.reservation_id
    outcome = any_budget.settle(verdict.reservation_id, Decimal("9.5"), {"tokens": 7})
    assert outcome == Outcome(verdict.reservation_id, "actual", Decimal("10.25"), Decimal("9.5"), False, False)
    row = ledger(db, verdict.reservation_id)
    assert (row.cost, row.metadata["tokens"]) == (Decimal("9.5"), 7)


def test_a_hold_is_cancelled(any_budget: Budget, db: Connection) -> None:
    verdict = any_budget.reserve_advisory(3, "svc")
    assert verdict.reservation_id
    outcome = any_budget.cancel(verdict.reservation_id, "the call failed")
    assert (outcome.status, outcome.estimated_cost, outcome.late) == ("cancelled", Decimal(3), False)
    row = ledger(db, verdict.reservation_id)
    assert (row.cost, row.metadata["cancel_reason"]) == (0, "the call failed")


def test_a_refusal_is_a_verdict_that_is_false(budget: Budget) -> None:
    budget.record(95, "earlier")
    verdict = budget.reserve(10, "svc")
    assert not verdict
    assert (verdict.can_proceed, verdict.reservation_id, verdict.current_total) == (False, None, Decimal(95))
    assert verdict.reason == "exhausted"
    assert budget.reserve(5, "svc")


def test_check_changes_nothing(budget: Budget, db: Connection) -> None:
    assert budget.check(100, "svc", {"model": "m"})
    assert not budget.check(Decimal("100.01"), "svc")
    assert ledger_size(db) == 0


def test_extend_raises_the_estimate_and_moves_the_expiry(budget: Budget, db: Connection) -> None:
    hold = budget.reserve(10, "svc").reservation_id
    assert hold
    expiry = ledger(db, hold).expires_at
    assert budget.extend(hold, 20)
    assert ledger(db, hold).cost == 20
    assert budget.extend(hold, ttl=timedelta(hours=5))
    assert ledger(db, hold).cost == 20
    assert ledger(db, hold).expires_at > expiry + timedelta(hours=3)
    assert not budget.extend(hold, 1000)


def test_record_books_spend_without_a_hold(budget: Budget) -> None:
    key = uuid4()
    outcome = budget.record(150, "svc", {"why": "import"}, id=key)
    assert (outcome.reservation_id, outcome.status, outcome.over_limit) == (key, "actual", True)
    assert budget.record(150, "svc", {"why": "import"}, id=key).reservation_id == key
    assert budget.status().settled == 150


def test_expire_marks_a_batch_of_lapsed_holds(budget: Budget, db: Connection) -> None:
    for _ in range(3):
        budget.reserve(2, "svc")
    db.execute("UPDATE public.cost_tracking SET expires_at = clock_timestamp() - interval '1 minute'")
    assert budget.expire(2) == Expired(2, Decimal(4))
    assert budget.expire() == Expired(1, Decimal(2))
    assert budget.expire() == Expired(0, Decimal(0))
    with pytest.raises(pgbudget.InvalidArgument):
        budget.expire(0)


def test_estimate_returns_the_tiers(budget: Budget) -> None:
    assert budget.estimate(0.1, False) == Decimal("0.10")
    assert budget.estimate(Decimal("0.5"), hard_stop_required=False) == Decimal("1.00")
    assert budget.estimate(0, True) == Decimal("2.50")


def test_estimate_tokens_multiplies_the_prices(budget: Budget, db: Connection) -> None:
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
           VALUES ('tiny', 'm', 'p', '{"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000004}')"""
    )
    assert budget.estimate_tokens("tiny", 1000, 500) == Decimal("0.003")
    assert budget.estimate_tokens("tiny", 5 * 10**9, 0) == 5000
    with pytest.raises(pgbudget.InvalidArgument):
        budget.estimate_tokens("unheard of", 1, 1)


def test_estimate_from_history_is_a_quantile_of_what_was_settled(budget: Budget, db: Connection) -> None:
    assert budget.estimate_from_history("svc") == History(None, 0)
    for cost in range(1, 11):
        hold = budget.reserve(1, "svc").reservation_id
        assert hold
        budget.settle(hold, cost)
    db.execute("SET session_replication_role = replica")  # the trigger lets nobody move a row in time
    db.execute("UPDATE public.cost_tracking SET created_at = created_at - interval '2 hours' WHERE cost = 10")
    assert budget.estimate_from_history("svc") == History(Decimal(9), 10)
    assert budget.estimate_from_history("svc", 1) == History(Decimal(10), 10)
    assert budget.estimate_from_history("svc", 0.5, timedelta(hours=1)) == History(Decimal(5), 9)


def test_limits_are_read_and_set(budget: Budget) -> None:
    limits = Limits(Decimal(20), Decimal(50), Decimal(100), "UTC", timedelta(hours=1), "release", ["architect"])
    assert budget.limits() == limits
    changed = budget.set_limits(
        {
            "daily_soft_cap": 1.5,
            "daily_hard_cap": Decimal("49.990000000000000001"),
            "emergency_kill": limits.emergency_kill * 2,
            "reservation_ttl": "90 minutes",
            "exempt_services": [],
        }
    )
    assert changed == budget.limits()
    assert changed == Limits(
        Decimal("1.5"), Decimal("49.990000000000000001"), Decimal(200), "UTC", timedelta(minutes=90), "release", []
    )
    for wrong in (1, Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+15")):
        with pytest.raises(pgbudget.BadConfiguration, match="cannot be set"):
            budget.set_limits({"emergency_kill": wrong})
    assert budget.limits() == changed


def test_a_freeze_refuses_until_it_ends(budget: Budget) -> None:
    frozen = budget.freeze("the bill looks wrong")
    assert frozen.since
    assert frozen == Freeze(True, "the bill looks wrong", frozen.since)
    assert budget.freeze("another reason") == frozen
    assert budget.reserve(1, "svc").reason == "frozen"
    assert budget.unfreeze() == Freeze(False, None, None)
    assert budget.reserve(1, "svc")


def test_the_functions_of_routing_answer(budget: Budget, db: Connection) -> None:
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, complexity_threshold, cost_profile)
           VALUES ('tiny', 'm', 'p', 1, '{"input_cost_per_token": 1, "output_cost_per_token": 1}')"""
    )
    assert budget.detect_hard_stop("fix the csrf hole") is True
    assert budget.detect_hard_stop("a typo") is False
    routing = budget.route_work_order(uuid4(), "a typo", {"files": [Decimal("0.1")]}, 0.1, True)
    assert routing
    assert routing.reservation_id
    assert budget.settle(routing.reservation_id, 0).status == "actual"
    assert budget.retry_strategy("tiny", 1, "timeout") == Retry(True, "retry_same", "tiny", 2, 3, "timeout")
    assert budget.retry_strategy("tiny", 3, None).should_retry is False
    escalation = budget.escalate("Driver", "test", "it failed", severity="info", metadata={"cost": Decimal("0.10")})
    query = "SELECT context ->> 'severity', context ->> 'cost' FROM public.escalations WHERE id = %s"
    row = db.execute(query, [escalation])
    assert row.fetchone() == ("info", "0.10")
    assert budget.escalate("Driver", "test", "again") != escalation


def test_status_shows_the_day(budget: Budget) -> None:
    budget.record(Decimal("12.5"), "svc")
    budget.reserve(Decimal("7.5"), "svc")
    status = budget.status()
    assert (status.settled, status.held, status.remaining) == (Decimal("12.5"), Decimal("7.5"), Decimal(80))
    assert (status.daily_soft_cap, status.daily_hard_cap) == (Decimal(20), Decimal(50))
    assert status.emergency_kill == 100
    assert (status.open_holds, status.share_used, status.timezone) == (1, Decimal("0.2"), "UTC")
    assert status.day == datetime.now(timezone.utc).date()
    assert isinstance(status.day, date)
    assert status.resets_at > datetime.now(timezone.utc)
    assert (status.frozen, status.config_error, list(status.unknown_keys)) == (False, None, [])


def test_status_says_what_is_wrong_with_the_limits(budget: Budget, db: Connection) -> None:
    db.execute("""UPDATE public.system_config SET value = '{"emergency_kill": "lots"}' WHERE key = 'budget_limits'""")
    status = budget.status()
    assert status.config_error
    assert status.emergency_kill is None
    assert status.remaining is None


def test_version_is_what_the_database_says(budget: Budget, db: Connection) -> None:
    assert (budget.version(),) == db.execute("SELECT budget.version()").fetchone()


# Money


class Three(IntEnum):
    THREE = 3


class OddFloat(float):
    def __repr__(self) -> str:  # numpy's floats are floats with a repr like this
        return f"odd({float(self)})"


@pytest.mark.parametrize(
    ("given", "booked"),
    [
        (Decimal("0.123456789012"), "0.123456789012"),
        (Decimal("1E+2"), "100"),
        (7, "7"),
        (Three.THREE, "3"),
        (0.1, "0.1"),
        (1e-05, "0.00001"),
        (OddFloat(0.7), "0.7"),
    ],
)
def test_an_amount_arrives_exactly(db: Connection, given: Any, booked: str) -> None:
    budget = Budget(db)
    hold = budget.reserve(given, "svc").reservation_id
    assert hold
    settled = budget.settle(hold, given)
    assert settled.estimated_cost == settled.actual_cost == Decimal(booked)
    assert isinstance(settled.actual_cost, Decimal)


@pytest.mark.parametrize("given", [True, "1", None, 1j, [1], timedelta(1)])
def test_anything_else_is_no_amount(db: Connection, given: Any) -> None:
    budget = Budget(db)
    for call in (budget.reserve, budget.reserve_advisory, budget.check, budget.record, budget.hold):
        with pytest.raises(TypeError, match="an amount is"):
            call(given, "svc")
    with pytest.raises(TypeError, match="an amount is"):
        budget.settle(uuid4(), given)
    assert ledger_size(db) == 0


def test_an_application_that_reads_floats_still_gets_decimals_from_the_driver(connect: Connect) -> None:
    connection = connect()
    connection.adapters.register_loader("numeric", FloatLoader)
    budget = Budget(connection)
    outcome = budget.record(Decimal("0.100000000001"), "svc")
    assert outcome.actual_cost == Decimal("0.100000000001")
    assert isinstance(connection.execute("SELECT 1.5::numeric").fetchone()[0], float)  # type: ignore[index]


def test_metadata_keeps_money_exact(budget: Budget, db: Connection) -> None:
    work_order = uuid4()
    metadata = {"price": Decimal("0.10"), "nested": [{"big": Decimal("12345678901234567890.5")}], "wo": work_order}
    hold = budget.reserve(1, "svc", metadata).reservation_id
    assert ledger(db, hold).metadata["original_metadata"] == {
        "price": "0.10",
        "nested": [{"big": "12345678901234567890.5"}],
        "wo": str(work_order),
    }


@pytest.mark.parametrize(("metadata", "error"), [({"x": object()}, TypeError), ({"x": float("nan")}, ValueError)])
def test_metadata_that_is_no_json_is_refused_before_it_is_sent(
    empty_dsn: str, metadata: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Budget(empty_dsn).reserve(1, "svc", metadata)


# Errors


@pytest.mark.parametrize(
    ("error", "sqlstate", "call"),
    [
        (pgbudget.InvalidArgument, "22023", lambda b: b.reserve(1, "")),
        (pgbudget.AmountOutOfRange, "22003", lambda b: b.reserve(-1, "svc")),
        (pgbudget.AmountOutOfRange, "22003", lambda b: b.reserve(float("nan"), "svc")),
        (pgbudget.AmountOutOfRange, "22003", lambda b: b.record(float("inf"), "svc")),
        (pgbudget.UnknownReservation, "PB002", lambda b: b.settle(uuid4(), 1)),
    ],
)
def test_an_error_of_a_function_has_its_class(
    budget: Budget, error: type[BudgetError], sqlstate: str, call: Callable[[Budget], object]
) -> None:
    with pytest.raises(error) as caught:
        call(budget)
    raised, cause = caught.value, caught.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert raised.sqlstate == cause.sqlstate == sqlstate
    assert raised.message == cause.diag.message_primary
    assert (raised.detail, raised.hint) == (cause.diag.message_detail, cause.diag.message_hint)
    assert raised.detail
    assert raised.hint
    assert raised.message in str(raised)
    assert raised.hint in str(raised)


def test_a_reused_id_with_other_arguments_is_a_mismatch(budget: Budget) -> None:
    key = uuid4()
    assert budget.reserve(1, "svc", reservation_id=key).reason == "granted"
    assert budget.reserve(1, "svc", reservation_id=key).reason == "replayed"
    with pytest.raises(pgbudget.ReservationMismatch) as caught:
        budget.reserve(2, "svc", reservation_id=key)
    assert caught.value.sqlstate == "PB003"


def test_a_second_settle_with_another_amount_shows_both(budget: Budget) -> None:
    hold = budget.reserve(1, "svc").reservation_id
    assert hold
    budget.settle(hold, Decimal("0.5"))
    budget.settle(hold, Decimal("0.5"))
    with pytest.raises(pgbudget.HoldStateError, match=r"0\.75") as caught:
        budget.settle(hold, Decimal("0.75"))
    assert "0.5" in str(caught.value.detail)


def test_the_wrong_isolation_level_is_refused(connect: Connect) -> None:
    connection = connect(autocommit=False)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with pytest.raises(pgbudget.WrongIsolationLevel):
        Budget(connection).reserve(1, "svc")


def test_broken_limits_refuse_every_reserve_but_take_what_was_spent(budget: Budget, db: Connection) -> None:
    hold = budget.reserve(1, "svc").reservation_id
    assert hold
    db.execute("DELETE FROM public.system_config WHERE key = 'budget_limits'")
    with pytest.raises(pgbudget.BadConfiguration):
        budget.reserve(1, "svc")
    assert budget.settle(hold, 1).over_limit is None


def test_what_is_not_the_budgets_business_stays_psycopgs(connect: Connect, db: Connection) -> None:
    db.execute("DO $$ BEGIN CREATE ROLE driver_nobody LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        Budget(connect(role="driver_nobody")).reserve(1, "svc")


def test_a_plain_caller_can_reserve_and_settle(open_budget: Open, app_role: str) -> None:
    budget = open_budget(make_conninfo(open_budget.dsn, user=app_role))
    hold = budget.reserve_advisory(1, "svc").reservation_id
    assert hold
    assert budget.settle(hold, 1).status == "actual"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        budget.set_limits({"emergency_kill": 1000})


# Versions


def test_a_database_without_pgbudget_is_behind(empty_dsn: str) -> None:
    with Budget(empty_dsn) as budget, pytest.raises(pgbudget.DatabaseBehind, match="has no pgbudget") as caught:
        budget.reserve(1, "svc")
    assert "pgbudget migrate" in str(caught.value.hint)


@pytest.mark.parametrize(("found", "behind"), [("0.9", True), ("0.99.7", True), ("1.0", False), ("2.3.1", False)])
def test_an_older_database_is_behind_a_newer_is_not(
    open_budget: Open, db: Connection, found: str, behind: bool
) -> None:
    db.execute(
        f"CREATE OR REPLACE FUNCTION budget.version() RETURNS text LANGUAGE sql AS $$ SELECT '{found}' $$".encode()
    )
    budget = open_budget()
    if behind:
        with pytest.raises(pgbudget.DatabaseBehind, match=f"has pgbudget {found}; this driver needs 1"):
            budget.reserve(1, "svc")
    else:
        assert budget.reserve(1, "svc")


def test_the_version_is_asked_for_once(budget: Budget, db: Connection) -> None:
    budget.status()
    db.execute("ALTER FUNCTION budget.version() RENAME TO former_version")
    assert budget.reserve(1, "svc")


# The shape of the clients


def test_every_function_has_a_method_with_its_arguments_and_its_defaults(db: Connection) -> None:
    """The names are the functions' own, in their order, and what may be left out is what has a default there."""
    functions = db.execute(
        """SELECT proname, coalesce(proargnames[:pronargs], '{}'), pronargdefaults
           FROM pg_proc WHERE pronamespace = 'budget'::regnamespace AND proname !~ '^_'"""
    ).fetchall()
    managed = {"set_budget", "drop_budget", "reconcile", "prune"}  # by the DBA, in SQL
    batches = by_series(core={"reserve_many", "settle_many"}, budgets=set())
    functions = [function for function in functions if function[0] not in managed]
    assert {name for name, _, _ in functions} == set(METHODS) - {"status"} - batches
    for name, arguments, defaults in functions:
        _, *parameters = inspect.signature(getattr(Budget, name)).parameters.values()
        assert [f"p_{parameter.name}" for parameter in parameters] == arguments, name
        assert sum(parameter.default is None for parameter in parameters) == defaults, name


@pytest.mark.parametrize("client", [Budget, AsyncBudget])
def test_methods_document_themselves(client: type[Any]) -> None:
    for name in METHODS:
        method = getattr(client, name)
        assert f"`budget.{name}`" in method.__doc__, name
        assert method.__name__ == name
    assert inspect.signature(client.reserve).return_annotation == "Verdict"
