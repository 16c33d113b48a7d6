"""The driver against the real functions: exact money, typed results, transactions, errors, lost connections."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.numeric import FloatLoader

import pgbudget
from pgbudget import Budget, BudgetError, Outcome, Verdict
from tests.conftest import Connect
from tests.driver.relay import Relay

Connection = psycopg.Connection[Any]


class OnePool:
    """The part of a `psycopg_pool.ConnectionPool` that the driver uses, with one connection, replaced when lost."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.idle = connect(autocommit=False)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        try:
            yield self.idle
            self.idle.commit()
        finally:
            if self.idle.closed:
                self.idle = self.connect(autocommit=False)


@pytest.fixture
def budget(db: Connection) -> Budget:
    return Budget(db)


@pytest.fixture(params=["conninfo", "autocommit", "plain", "pool"])
def any_budget(request: pytest.FixtureRequest, dsn: str, connect: Connect) -> Iterator[Budget]:
    sources: dict[str, Callable[[], Any]] = {
        "conninfo": lambda: dsn,
        "autocommit": connect,
        "plain": lambda: connect(autocommit=False),
        "pool": lambda: OnePool(connect),
    }
    source = sources[request.param]()
    with Budget(source) as budget:
        yield budget


def ledger(db: Connection, hold: UUID | None) -> dict[str, Any]:
    with db.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM public.cost_tracking WHERE id = %s", [hold]).fetchone()
    assert row is not None
    return row


def terminate(db: Connection, victim: Connection | None = None) -> None:
    """End the victim's session, or every other of this database, from the server's side."""
    db.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid = coalesce(%s, pid)""",
        [victim and victim.info.backend_pid],
    )


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
        remaining=verdict.remaining,
        resets_at=verdict.resets_at,
        retry_at=None,
        expires_at=verdict.expires_at,
    )
    assert verdict.expires_at
    assert timedelta(minutes=9) < verdict.expires_at - before < timedelta(minutes=11)
    row = ledger(db, verdict.reservation_id)  # another connection sees it: it is committed
    assert (row["cost"], row["service_name"], row["metadata"]["type"]) == (Decimal("10.25"), "svc", "reservation")
    assert row["metadata"]["original_metadata"] == {"model": "m"}

    assert verdict.reservation_id
    outcome = any_budget.settle(verdict.reservation_id, Decimal("9.5"), {"tokens": 7})
    assert outcome == Outcome(verdict.reservation_id, "actual", Decimal("10.25"), Decimal("9.5"), False, False)
    assert ledger(db, verdict.reservation_id)["cost"] == Decimal("9.5")


def test_a_hold_is_cancelled(any_budget: Budget, db: Connection) -> None:
    verdict = any_budget.reserve_advisory(3, "svc")
    assert verdict.reservation_id
    outcome = any_budget.cancel(verdict.reservation_id, "the call failed")
    assert (outcome.status, outcome.estimated_cost, outcome.late) == ("cancelled", Decimal(3), False)
    assert ledger(db, verdict.reservation_id)["cost"] == 0


def test_a_refusal_is_a_verdict_that_is_false(budget: Budget) -> None:
    budget.record(95, "earlier")
    verdict = budget.reserve(10, "svc")
    assert not verdict
    assert (verdict.can_proceed, verdict.reservation_id, verdict.current_total) == (False, None, Decimal(95))
    assert verdict.reason == "exhausted"
    assert budget.reserve(5, "svc")


def test_check_changes_nothing(budget: Budget, db: Connection) -> None:
    assert budget.check(100, "svc")
    assert not budget.check(Decimal("100.01"), "svc")
    assert db.execute("SELECT count(*) FROM public.cost_tracking").fetchone() == (0,)


def test_extend_raises_the_estimate_and_moves_the_expiry(budget: Budget, db: Connection) -> None:
    hold = budget.reserve(10, "svc").reservation_id
    assert hold
    expiry = ledger(db, hold)["expires_at"]
    assert budget.extend(hold, 20)
    assert ledger(db, hold)["cost"] == 20
    assert budget.extend(hold, ttl=timedelta(hours=5))
    assert ledger(db, hold)["cost"] == 20
    assert ledger(db, hold)["expires_at"] > expiry + timedelta(hours=3)
    assert not budget.extend(hold, 1000)


def test_record_books_spend_without_a_hold(budget: Budget, db: Connection) -> None:
    key = uuid4()
    outcome = budget.record(150, "svc", {"why": "import"}, id=key)
    assert (outcome.reservation_id, outcome.status, outcome.over_limit) == (key, "actual", True)
    assert budget.record(150, "svc", {"why": "import"}, id=key).reservation_id == key
    assert budget.status().settled == 150


def test_estimate_returns_the_tiers(budget: Budget) -> None:
    assert budget.estimate(0.1, False) == Decimal("0.10")
    assert budget.estimate(Decimal("0.5"), hard_stop_required=False) == Decimal("1.00")
    assert budget.estimate(0, True) == Decimal("2.50")


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
def test_an_amount_arrives_exactly(budget: Budget, given: Any, booked: str) -> None:
    hold = budget.reserve(given, "svc").reservation_id
    assert hold
    settled = budget.settle(hold, given)
    assert settled.estimated_cost == settled.actual_cost == Decimal(booked)
    assert isinstance(settled.actual_cost, Decimal)


@pytest.mark.parametrize("given", [True, "1", None, 1j, [1], timedelta(1)])
def test_anything_else_is_no_amount(budget: Budget, db: Connection, given: Any) -> None:
    for call in (budget.reserve, budget.reserve_advisory, budget.check, budget.record):
        with pytest.raises(TypeError, match="an amount is"):
            call(given, "svc")
    with pytest.raises(TypeError, match="an amount is"):
        budget.settle(uuid4(), given)
    assert db.execute("SELECT count(*) FROM public.cost_tracking").fetchone() == (0,)


def test_an_application_that_reads_floats_still_gets_decimals_from_the_driver(connect: Connect) -> None:
    connection = connect()
    connection.adapters.register_loader("numeric", FloatLoader)
    budget = Budget(connection)
    outcome = budget.record(Decimal("0.100000000001"), "svc")
    assert outcome.actual_cost == Decimal("0.100000000001")
    assert connection.execute("SELECT 1.5").fetchone() == (1.5,)
    assert isinstance(connection.execute("SELECT 1.5::numeric").fetchone()[0], float)  # type: ignore[index]


def test_metadata_keeps_money_exact(budget: Budget, db: Connection) -> None:
    work_order = uuid4()
    metadata = {"price": Decimal("0.10"), "nested": [{"big": Decimal("12345678901234567890.5")}], "wo": work_order}
    hold = budget.reserve(1, "svc", metadata).reservation_id
    assert ledger(db, hold)["metadata"]["original_metadata"] == {
        "price": "0.10",
        "nested": [{"big": "12345678901234567890.5"}],
        "wo": str(work_order),
    }


@pytest.mark.parametrize(("metadata", "error"), [({"x": object()}, TypeError), ({"x": float("nan")}, ValueError)])
def test_metadata_that_is_no_json_is_refused_before_it_is_sent(
    budget: Budget, metadata: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        budget.reserve(1, "svc", metadata)


# Transactions and connections


def test_no_call_leaves_a_transaction_open(connect: Connect) -> None:
    connection = connect(autocommit=False)
    budget = Budget(connection)
    budget.reserve(1, "svc")
    assert connection.info.transaction_status == TransactionStatus.IDLE
    with pytest.raises(BudgetError):
        budget.reserve(-1, "svc")
    assert connection.info.transaction_status == TransactionStatus.IDLE


@pytest.mark.parametrize("autocommit", [True, False])
def test_an_open_transaction_is_refused(connect: Connect, db: Connection, autocommit: bool) -> None:
    connection = connect(autocommit=autocommit)
    budget = Budget(connection)
    with connection.transaction():
        connection.execute("SELECT 1")
        with pytest.raises(pgbudget.InTransaction, match="in_transaction=True"):
            budget.reserve(1, "svc")
    assert db.execute("SELECT count(*) FROM public.cost_tracking").fetchone() == (0,)
    assert budget.reserve(1, "svc")


def test_a_failed_transaction_is_refused_too(connect: Connect) -> None:
    connection = connect(autocommit=False)
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1 / 0")
    with pytest.raises(pgbudget.InTransaction):
        Budget(connection).status()


def test_in_transaction_joins_the_callers(connect: Connect, db: Connection) -> None:
    connection = connect(autocommit=False)
    budget = Budget(connection, in_transaction=True)
    hold = budget.reserve(1, "svc").reservation_id
    assert connection.info.transaction_status == TransactionStatus.INTRANS
    assert db.execute("SELECT count(*) FROM public.cost_tracking").fetchone() == (0,)
    connection.rollback()
    kept = budget.reserve(1, "svc").reservation_id
    connection.commit()
    assert db.execute("SELECT id FROM public.cost_tracking").fetchall() == [(kept,)]
    assert kept != hold


def test_what_is_no_source_is_refused(dsn: str) -> None:
    with pytest.raises(TypeError, match="not int"):
        Budget(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="in_transaction needs the Connection"):
        Budget(dsn, in_transaction=True)


def test_only_its_own_connection_is_closed(dsn: str, connect: Connect, db: Connection) -> None:
    theirs = connect()
    with Budget(theirs) as budget:
        budget.status()
    assert not theirs.closed
    with Budget(make_conninfo(dsn, application_name="the budget's own")) as budget:
        budget.status()
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the budget''s own'"
    deadline = time.monotonic() + 10
    while db.execute(count).fetchone() != (0,):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert budget.status().open_holds == 0  # used again, it opens another
    budget.close()


def test_one_client_serves_many_threads(dsn: str) -> None:
    barrier = threading.Barrier(8, timeout=10)
    with Budget(dsn) as budget:

        def spend() -> list[bool]:
            barrier.wait()
            return [budget.reserve(1, "svc").can_proceed for _ in range(20)]

        with ThreadPoolExecutor(8) as threads:
            answers = [future.result(60) for future in [threads.submit(spend) for _ in range(8)]]
        assert sum(map(sum, answers)) == 100
        assert budget.status().held == 100


# Lost connections


@pytest.mark.parametrize("kind", ["conninfo", "pool"])
def test_a_connection_that_can_be_replaced_is(dsn: str, connect: Connect, db: Connection, kind: str) -> None:
    with Budget(dsn if kind == "conninfo" else OnePool(connect)) as budget:
        hold = budget.reserve(2, "svc").reservation_id
        assert hold
        terminate(db)
        assert budget.settle(hold, 2).status == "actual"
        terminate(db)
        assert budget.reserve(3, "svc").current_total == 2
        assert budget.status().held == 3


@pytest.mark.parametrize("name", ["reserve", "reserve_advisory"])
def test_a_reserve_whose_answer_was_lost_is_charged_once(dsn: str, db: Connection, name: str) -> None:
    with Relay(dsn) as relay, Budget(relay.dsn) as budget:
        budget.version()
        relay.lose_answer_to(f"budget.{name}(")
        verdict = getattr(budget, name)(5, "svc")
        assert relay.lost == 1
        assert (verdict.can_proceed, verdict.reason) == (True, "replayed")
        assert db.execute("SELECT id, cost FROM public.cost_tracking").fetchall() == [(verdict.reservation_id, 5)]


def test_spend_whose_answer_was_lost_is_booked_once(dsn: str, db: Connection) -> None:
    with Relay(dsn) as relay, Budget(relay.dsn) as budget:
        hold = budget.reserve(5, "svc").reservation_id
        assert hold
        relay.lose_answer_to("budget.settle(")
        assert budget.settle(hold, 4).actual_cost == 4
        relay.lose_answer_to("budget.record(")
        assert budget.record(3, "svc").actual_cost == 3
        assert relay.lost == 2
        assert db.execute("SELECT cost FROM public.cost_tracking ORDER BY 1").fetchall() == [(3,), (4,)]


def test_known_spend_that_cannot_be_delivered_is_handed_back(connect: Connect, db: Connection) -> None:
    connection = connect()
    lost = Budget(connection)
    hold, other = lost.reserve(5, "svc").reservation_id, lost.reserve(6, "svc").reservation_id
    assert hold
    assert other
    terminate(db, connection)
    errors = []
    calls: tuple[Callable[[], Outcome], ...] = (
        lambda: lost.settle(hold, Decimal("4.5"), {"tokens": Decimal("1.5")}),
        lambda: lost.cancel(other, "failed"),
        lambda: lost.record(7, "svc"),
    )
    for call in calls:
        with pytest.raises(pgbudget.UndeliveredSettlement, match="could not be delivered") as caught:
            call()
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        errors.append(caught.value)
    assert [error.function for error in errors] == ["settle", "cancel", "record"]
    assert errors[0].arguments == {
        "reservation_id": hold,
        "actual_cost": Decimal("4.5"),
        "metadata": {"tokens": Decimal("1.5")},
    }
    again = Budget(db)
    for _ in range(2):  # twice is harmless
        for error in errors:
            getattr(again, error.function)(**error.arguments)
    assert (again.status().settled, again.status().held) == (Decimal("11.5"), Decimal(0))


def test_a_lost_connection_while_reserving_is_psycopgs_error(connect: Connect, db: Connection) -> None:
    connection = connect()
    budget = Budget(connection)
    budget.version()
    terminate(db, connection)
    with pytest.raises(psycopg.OperationalError):
        budget.reserve(1, "svc")


def test_a_settle_that_never_got_a_connection_is_handed_back(empty_dsn: str) -> None:
    budget = Budget(make_conninfo(empty_dsn, dbname="no_such_database"))
    with pytest.raises(pgbudget.UndeliveredSettlement):
        budget.settle(uuid4(), 1)


def test_a_deadlocks_victim_is_repeated(dsn: str, connect: Connect, db: Connection) -> None:
    """The settle waits for its row, whose holder then waits for the settle's lock on the table."""
    other = connect(autocommit=False)
    other.execute("SET deadlock_timeout = '60s'")  # so that the settle is the one to notice, and to give way
    with (
        Budget(make_conninfo(dsn, options="-cdeadlock_timeout=500ms", application_name="settling")) as budget,
        ThreadPoolExecutor(1) as thread,
    ):
        hold = budget.reserve(1, "svc").reservation_id
        assert hold
        before = deadlocks(db)
        other.execute("SELECT FROM public.cost_tracking WHERE id = %s FOR UPDATE", [hold])
        settling = thread.submit(budget.settle, hold, 1)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'settling' AND wait_event_type = 'Lock'"
        )
        while db.execute(waiting).fetchone() != (1,):
            assert not settling.done()
        other.execute("LOCK TABLE public.cost_tracking IN EXCLUSIVE MODE")
        other.commit()
        assert settling.result(10).status == "actual"
    assert deadlocks(db) > before


def deadlocks(db: Connection) -> int:
    time.sleep(1.1)  # sessions report their statistics at most once a second
    db.execute("SELECT pg_stat_clear_snapshot()")
    row = db.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row
    return int(row[0])


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


def test_a_lock_that_is_not_free_in_time_is_a_timeout(dsn: str, connect: Connect) -> None:
    holder = connect(autocommit=False)
    holder.execute("LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE")
    with Budget(make_conninfo(dsn, options="-clock_timeout=200")) as budget, pytest.raises(pgbudget.LockTimeout):
        budget.reserve(1, "svc")
    holder.rollback()


def test_what_is_not_the_budgets_business_stays_psycopgs(dsn: str, connect: Connect, db: Connection) -> None:
    db.execute("DO $$ BEGIN CREATE ROLE driver_nobody LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        Budget(connect(role="driver_nobody")).reserve(1, "svc")


def test_a_plain_caller_can_reserve_and_settle(connect: Connect) -> None:
    budget = Budget(connect(role="app"))
    hold = budget.reserve_advisory(1, "svc").reservation_id
    assert hold
    assert budget.settle(hold, 1).status == "actual"


# Versions


def test_a_database_without_pgbudget_is_behind(empty_dsn: str) -> None:
    with Budget(empty_dsn) as budget, pytest.raises(pgbudget.DatabaseBehind, match="pgbudget migrate"):
        budget.reserve(1, "svc")


@pytest.mark.parametrize(("found", "behind"), [("0.9", True), ("0.99.7", True), ("1.0", False), ("2.3.1", False)])
def test_an_older_database_is_behind_a_newer_is_not(dsn: str, db: Connection, found: str, behind: bool) -> None:
    db.execute(
        f"CREATE OR REPLACE FUNCTION budget.version() RETURNS text LANGUAGE sql AS $$ SELECT '{found}' $$".encode()
    )
    with Budget(dsn) as budget:
        if behind:
            with pytest.raises(pgbudget.DatabaseBehind, match=f"has pgbudget {found}; this driver needs 1"):
                budget.reserve(1, "svc")
        else:
            assert budget.reserve(1, "svc")


# The shape of the client


def test_every_method_sends_the_arguments_that_its_function_has(db: Connection) -> None:
    for name, method in vars(Budget).items():
        if name.startswith("_") or name in ("close", "status"):
            continue
        [arguments] = db.execute(
            """SELECT proargnames[:pronargs] FROM pg_proc
               WHERE pronamespace = 'budget'::regnamespace AND proname = %s""",
            [name],
        ).fetchall()
        sent = [f"p_{argument}" for argument in inspect.signature(method).parameters if argument != "self"]
        assert sent == (arguments[0] or []), name


def test_methods_document_themselves() -> None:
    signature = inspect.signature(Budget.reserve)
    assert list(signature.parameters)[:3] == ["self", "estimated_cost", "service_name"]
    assert signature.return_annotation == "Verdict"
    assert "budget.reserve" in str(Budget.reserve.__doc__)
