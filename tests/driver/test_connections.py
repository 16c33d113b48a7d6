"""Sources, transactions, repeats and lost connections, through both clients; and what `on_event` hears of it."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

import pgbudget
from pgbudget import AsyncBudget, Budget, BudgetError, Event, Outcome
from pgbudget.embedded import Server
from pgbudget.migrations import migrate
from tests.conftest import Connect
from tests.driver.conftest import CLIENTS, Open
from tests.driver.relay import Relay
from tests.race import SECONDS, Connection, barrier, terminate, until, waiting
from tests.rows import ledger, ledger_size, value

TABLE_LOCK = "LOCK TABLE public.cost_tracking IN EXCLUSIVE MODE"


# Transactions


def test_no_call_leaves_a_transaction_open(open_budget: Open) -> None:
    connection = open_budget.connection(autocommit=False)
    budget = open_budget(connection)
    budget.reserve(1, "svc")
    assert connection.info.transaction_status == TransactionStatus.IDLE
    with pytest.raises(BudgetError):
        budget.reserve(-1, "svc")
    assert connection.info.transaction_status == TransactionStatus.IDLE


@pytest.mark.parametrize("autocommit", [True, False])
def test_an_open_transaction_is_refused(open_budget: Open, db: Connection, autocommit: bool) -> None:
    connection = open_budget.connection(autocommit=autocommit)
    budget = open_budget(connection)
    connection.execute("BEGIN" if autocommit else "SELECT 1")
    with pytest.raises(pgbudget.InTransaction, match="in_transaction=True"):
        budget.reserve(1, "svc")
    connection.rollback()
    assert ledger_size(db) == 0
    assert budget.reserve(1, "svc")


def test_a_failed_transaction_is_refused_too(open_budget: Open) -> None:
    connection = open_budget.connection(autocommit=False)
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1 / 0")
    with pytest.raises(pgbudget.InTransaction):
        open_budget(connection).status()


def test_in_transaction_joins_the_callers(open_budget: Open, db: Connection) -> None:
    connection = open_budget.connection(autocommit=False)
    budget = open_budget(connection, in_transaction=True)
    hold = budget.reserve(1, "svc").reservation_id
    assert connection.info.transaction_status == TransactionStatus.INTRANS
    assert ledger_size(db) == 0
    connection.rollback()
    kept = budget.reserve(1, "svc").reservation_id
    connection.commit()
    assert db.execute("SELECT id FROM public.cost_tracking").fetchall() == [(kept,)]
    assert kept != hold


def test_what_fails_in_the_callers_transaction_is_not_repeated(open_budget: Open, connect: Connect) -> None:
    """All of the transaction is lost, and only the caller knows what was in it."""
    connect(autocommit=False).execute(TABLE_LOCK)
    connection, events = open_budget.connection(autocommit=False), list[Event]()
    budget = open_budget(connection, in_transaction=True, on_event=events.append)
    connection.execute("SET LOCAL lock_timeout = 50")
    with pytest.raises(pgbudget.LockTimeout):
        budget.reserve(1, "svc")
    assert len(events) == 1


# Sources


@pytest.mark.parametrize("client", [Budget, AsyncBudget])
def test_what_is_no_source_is_refused(client: type[Any], dsn: str) -> None:
    with pytest.raises(TypeError, match=f"{client.__name__} takes a conninfo string"):
        client(5)
    with pytest.raises(TypeError, match="in_transaction needs the connection"):
        client(dsn, in_transaction=True)


@pytest.mark.parametrize(("client", "other"), [(Budget, "AsyncBudget"), (AsyncBudget, "Budget")])
@pytest.mark.parametrize("kind", ["connection", "pool"])
def test_a_source_of_the_other_kind_is_refused(dsn: str, client: type[Any], other: str, kind: str) -> None:
    with Open(other, dsn) as opened:
        source = getattr(opened, kind)()
        with pytest.raises(TypeError, match="its own kind"):
            client(getattr(source, "_target", source))


def test_only_its_own_connection_is_closed(open_budget: Open, db: Connection) -> None:
    theirs = open_budget.connection()
    with open_budget(theirs) as budget:
        budget.status()
    assert not theirs.closed
    budget = open_budget(make_conninfo(open_budget.dsn, application_name="own"))
    with budget:
        budget.status()
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'own'"
    until(lambda: value(db, sessions) == 0, "its connection to be closed")
    assert budget.status().open_holds == 0  # used again, it opens another


def test_its_own_connection_prepares_no_statements(open_budget: Open, dsn: str) -> None:
    """A transaction pooler may stand in between, and lend the next call another server's session."""
    budget = open_budget()
    budget.version()
    assert budget._own.prepare_threshold is None

    count = "SELECT count(*) FROM pg_prepared_statements"
    with Budget(dsn) as ours, psycopg.connect(dsn, autocommit=True) as theirs:
        for client in (ours, Budget(theirs)):
            for _ in range(8):
                client.status()
        assert value(ours._own, count) == 0
        assert value(theirs, count) > 0


def test_one_client_serves_many_threads(dsn: str) -> None:
    start = barrier(8)
    with Budget(dsn) as budget:

        def spend() -> list[bool]:
            start.wait()
            return [budget.reserve(1, "svc").can_proceed for _ in range(20)]

        with ThreadPoolExecutor(8) as threads:
            answers = [future.result(SECONDS) for future in [threads.submit(spend) for _ in range(8)]]
        assert sum(map(sum, answers)) == 100
        assert budget.status().held == 100


# Repeats


def test_a_lock_that_becomes_free_is_waited_for_again(open_budget: Open, connect: Connect) -> None:
    holder, events = connect(autocommit=False), list[Event]()

    def hear(event: Event) -> None:
        events.append(event)
        if event.attempt == 2:
            holder.rollback()

    holder.execute(TABLE_LOCK)
    budget = open_budget(make_conninfo(open_budget.dsn, options="-clock_timeout=50"), on_event=hear)
    verdict = budget.reserve(1, "svc")
    assert verdict.reason == "granted"
    assert [(event.attempt, type(event.error)) for event in events] == [
        (1, pgbudget.LockTimeout),
        (2, pgbudget.LockTimeout),
        (3, type(None)),
    ]
    assert events[2].result is verdict


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_lock_that_stays_taken_is_a_timeout(open_budget: Open, connect: Connect, attempts: int) -> None:
    connect(autocommit=False).execute(TABLE_LOCK)
    heard: list[tuple[float, Event]] = []
    budget = open_budget(
        make_conninfo(open_budget.dsn, options="-clock_timeout=50"),
        attempts=attempts,
        on_event=lambda event: heard.append((time.monotonic(), event)),
    )
    with pytest.raises(pgbudget.LockTimeout) as caught:
        budget.reserve(1, "svc")
    assert len(heard) == attempts
    assert heard[-1][1].error is caught.value
    if attempts == 2:  # not at once, or the herd would come back as one
        (ended, _), (ended_again, again) = heard
        assert ended_again - ended - again.seconds >= 0.1


def blocked(open_budget: Open, db: Connection, settings: str, **options: Any) -> Outcome:
    """Settle while another session has the row, and let that one go on when the settle waits."""
    budget = open_budget(make_conninfo(open_budget.dsn, options=settings), **options)
    hold = budget.reserve(1, "svc").reservation_id
    assert hold
    with psycopg.connect(open_budget.dsn) as other, ThreadPoolExecutor(1) as thread:
        other.execute("SET deadlock_timeout = '60s'")  # the settle is to notice, and to give way
        other.execute("UPDATE public.cost_tracking SET metadata = metadata || '{\"note\": 1}' WHERE id = %s", [hold])

        def go_on() -> None:
            until(lambda: waiting(db), "the settle to wait")
            if "deadlock" in settings:
                other.execute(TABLE_LOCK)
            other.commit()

        going_on = thread.submit(go_on)
        outcome = budget.settle(hold, 1)
        going_on.result(SECONDS)
    return outcome


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ("-cdeadlock_timeout=300ms", psycopg.errors.DeadlockDetected),
        (r"-cdefault_transaction_isolation=repeatable\ read", psycopg.errors.SerializationFailure),
    ],
)
def test_what_the_server_undid_is_repeated(
    open_budget: Open, db: Connection, settings: str, cause: type[psycopg.Error]
) -> None:
    events: list[Event] = []
    if "isolation" in settings:  # reserving needs READ COMMITTED; settling may be called in any
        db.execute(
            "CREATE OR REPLACE FUNCTION budget._begin_decision() RETURNS text "
            "LANGUAGE sql AS 'SELECT budget._begin_write()'"
        )
    assert blocked(open_budget, db, settings, on_event=events.append).status == "actual"
    _, failed, repeated = events
    assert isinstance(failed.error, pgbudget.UndeliveredSettlement)
    assert isinstance(repeated.result, Outcome)


# Lost connections


@pytest.mark.parametrize("kind", ["conninfo", "pool"])
def test_a_connection_that_can_be_replaced_is(open_budget: Open, db: Connection, kind: str) -> None:
    """Of a pool all connections are lost at once: more than a call has attempts."""
    budget = open_budget(open_budget.pool(5) if kind == "pool" else None)
    hold = budget.reserve(2, "svc").reservation_id
    assert hold
    terminate(db)
    assert budget.settle(hold, 2).status == "actual"
    terminate(db)
    assert budget.reserve(3, "svc").current_total == 2
    assert budget.status().held == 3


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server of its own, to be killed."""
    with Server(settings={"fsync": "off"}) as server:
        migrate(server.dsn())
        yield server


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_is_killed_and_comes_back_is_waited_for(mortal: Server, client: str) -> None:
    events: list[Event] = []
    with Open(client, mortal.dsn()) as open_budget, ThreadPoolExecutor(1) as thread:
        budget = open_budget(attempts=10, on_event=events.append)
        hold = budget.reserve(2, "svc").reservation_id
        assert hold

        def come_back() -> None:
            until(lambda: len(events) == 3, "a lost connection, and then a refused one")
            mortal.start()

        mortal.kill()
        coming_back = thread.submit(come_back)
        assert budget.settle(hold, 2).status == "actual"
        coming_back.result(SECONDS)
        assert all(isinstance(event.error, pgbudget.UndeliveredSettlement) for event in events[1:3])
        assert budget.reserve_advisory(3, "svc")


def test_a_server_that_is_not_there_is_not_waited_for(open_budget: Open, tmp_path: Any) -> None:
    events: list[Event] = []
    budget = open_budget(make_conninfo(host=str(tmp_path)), on_event=events.append)
    with pytest.raises(psycopg.OperationalError):
        budget.reserve(1, "svc")
    assert len(events) == 1


@pytest.mark.parametrize("name", ["reserve", "reserve_advisory"])
def test_a_reserve_whose_answer_was_lost_is_charged_once(open_budget: Open, db: Connection, name: str) -> None:
    with Relay(open_budget.dsn) as relay, open_budget(relay.dsn) as budget:
        budget.version()
        relay.lose_answer_to(f"budget.{name}(")
        verdict = getattr(budget, name)(5, "svc")
        assert relay.lost == 1
        assert (verdict.can_proceed, verdict.reason) == (True, "replayed")
        assert db.execute("SELECT id, cost FROM public.cost_tracking").fetchall() == [(verdict.reservation_id, 5)]


def test_spend_whose_answer_was_lost_is_booked_once(open_budget: Open, db: Connection) -> None:
    with Relay(open_budget.dsn) as relay, open_budget(relay.dsn) as budget:
        hold = budget.reserve(5, "svc").reservation_id
        assert hold
        relay.lose_answer_to("budget.settle(")
        assert budget.settle(hold, 4).actual_cost == 4
        relay.lose_answer_to("budget.record(")
        assert budget.record(3, "svc").actual_cost == 3
        assert relay.lost == 2
        assert db.execute("SELECT cost FROM public.cost_tracking ORDER BY 1").fetchall() == [(3,), (4,)]


def test_a_lost_connection_while_reserving_is_psycopgs_error(open_budget: Open, db: Connection) -> None:
    connection = open_budget.connection()
    budget = open_budget(connection)
    budget.version()
    terminate(db, connection.info.backend_pid)
    with pytest.raises(psycopg.OperationalError):
        budget.reserve(1, "svc")


# Undelivered settlements


def test_known_spend_that_cannot_be_delivered_is_handed_back(open_budget: Open, db: Connection) -> None:
    connection = open_budget.connection()
    lost = open_budget(connection)
    hold, other = lost.reserve(5, "svc").reservation_id, lost.reserve(6, "svc").reservation_id
    assert hold
    assert other
    terminate(db, connection.info.backend_pid)
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
    again = open_budget()
    for _ in range(2):  # twice is harmless
        for error in errors:
            assert error.deliver(again).status in ("actual", "cancelled")
    status = again.status()
    assert (status.settled, status.held) == (Decimal("11.5"), Decimal(0))


def test_a_settle_that_never_got_a_connection_is_handed_back(open_budget: Open) -> None:
    budget = open_budget(make_conninfo(open_budget.dsn, dbname="no_such_database"))
    with pytest.raises(pgbudget.UndeliveredSettlement):
        budget.settle(uuid4(), 1)


def test_a_settle_of_a_hold_that_stays_locked_is_handed_back(open_budget: Open, connect: Connect) -> None:
    budget = open_budget(make_conninfo(open_budget.dsn, options="-clock_timeout=50"))
    hold = budget.reserve(1, "svc").reservation_id
    holder = connect(autocommit=False)
    holder.execute("SELECT FROM public.cost_tracking FOR UPDATE")
    assert hold
    with pytest.raises(pgbudget.UndeliveredSettlement) as caught:
        budget.settle(hold, 1)
    assert isinstance(caught.value.__cause__, psycopg.errors.LockNotAvailable)
    holder.rollback()
    assert caught.value.deliver(Budget(holder, in_transaction=True)).status == "actual"


def test_an_error_survives_pickling(open_budget: Open, db: Connection) -> None:
    """So that another process can deliver a settlement, and a pool of processes can raise what happened in it."""
    connection = open_budget.connection()
    budget = open_budget(connection)
    with pytest.raises(pgbudget.AmountOutOfRange) as of_sql:
        budget.reserve(-1, "svc")
    with pytest.raises(pgbudget.Refused) as refused:
        budget.hold(1000, "svc").__enter__()
    with pytest.raises(pgbudget.Unsettled) as unsettled, budget.hold(1, "svc"):
        pass
    terminate(db, connection.info.backend_pid)
    with pytest.raises(pgbudget.UndeliveredSettlement) as undelivered:
        budget.record(Decimal("1.5"), "svc", {"n": 1})
    copies = [pickle.loads(pickle.dumps(caught.value)) for caught in (of_sql, refused, unsettled, undelivered)]  # noqa: S301
    for caught, copy in zip((of_sql, refused, unsettled, undelivered), copies, strict=True):
        assert (type(copy), str(copy), vars(copy)) == (caught.type, str(caught.value), vars(caught.value))
    delivered = copies[-1].deliver(Budget(db))
    assert ledger(db, delivered.reservation_id).cost == Decimal("1.5")


# on_event


def test_every_attempt_is_told(open_budget: Open) -> None:
    events: list[Event] = []
    budget = open_budget(on_event=events.append)
    began = time.monotonic()
    verdict = budget.reserve(1, "svc")
    with pytest.raises(pgbudget.UnknownReservation) as caught:
        budget.cancel(uuid4())
    granted, failed = events
    assert (granted.function, granted.attempt, granted.result, granted.error) == ("reserve", 1, verdict, None)
    assert (failed.function, failed.attempt, failed.result, failed.error) == ("cancel", 1, None, caught.value)
    assert 0 < granted.seconds < time.monotonic() - began


def test_a_hook_that_fails_breaks_nothing(open_budget: Open, db: Connection, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("the hook is broken")

    budget = open_budget(on_event=fail)
    assert budget.reserve(1, "svc")
    with pytest.raises(pgbudget.UnknownReservation):
        budget.cancel(uuid4())
    assert ledger_size(db) == 1
    assert [record.name for record in caplog.records if record.levelno == logging.ERROR] == ["pgbudget"] * 2
