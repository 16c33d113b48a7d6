"""`hold()`: every way into its block and out of it, through both clients."""

# ruff: noqa: PT012 - what happens in a block that raises is what is tested

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import pgbudget
from pgbudget import Budget, Event
from tests.conftest import Connect
from tests.driver.conftest import Open
from tests.race import Connection, terminate
from tests.rows import ledger, ledger_size


class BoomError(Exception):
    pass


class Stop(BaseException):
    """As KeyboardInterrupt is: no Exception."""


def state(db: Connection, hold: Any) -> tuple[str, int]:
    """The hold's state in the ledger, and its cost in cents."""
    row = ledger(db, hold.reservation_id)
    return row.metadata["type"], int(row.cost * 100)


# Entering


def test_entering_reserves_under_the_advisory_lock(budget: Budget, db: Connection, connect: Connect) -> None:
    budget.version()
    writer = connect(autocommit=False)
    writer.execute("INSERT INTO public.cost_tracking (service_name, cost) VALUES ('direct', 1)")  # not hindered by it
    with budget.hold(Decimal("2.5"), "svc", {"model": "m"}, ttl=timedelta(minutes=5)) as hold:
        assert hold.verdict.reason == "granted"
        assert hold.verdict.reservation_id == hold.reservation_id
        assert hold.estimate == Decimal("2.5")
        row = ledger(db, hold.reservation_id)
        assert (row.service_name, row.metadata["original_metadata"]) == ("svc", {"model": "m"})
        assert row.expires_at - row.created_at == timedelta(minutes=5)
        hold.settle(1)
    writer.rollback()


def test_a_refusal_is_an_exception_that_carries_the_verdict(budget: Budget, db: Connection) -> None:
    budget.record(95, "earlier")
    with pytest.raises(pgbudget.Refused, match="exhausted") as caught, budget.hold(10, "svc"):
        pytest.fail("the block was entered")
    verdict = caught.value.verdict
    assert (verdict.can_proceed, verdict.reason, verdict.current_total) == (False, "exhausted", Decimal(95))
    assert str(verdict.retry_at) in str(caught.value)
    assert ledger_size(db) == 1


def test_an_error_of_reserving_is_raised_as_it_is(budget: Budget, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(pgbudget.InvalidArgument), budget.hold(1, ""):
        pytest.fail("the block was entered")
    assert not caplog.records


def test_a_reservation_that_was_granted_to_nobody_is_given_back(open_budget: Open, db: Connection) -> None:
    """The caller is interrupted after the commit and before the block."""

    def interrupt(event: Event) -> None:
        if event.function == "reserve_advisory":
            raise Stop

    budget = open_budget(on_event=interrupt)
    with pytest.raises(Stop), budget.hold(1, "svc", on_error="keep"):
        pytest.fail("the block was entered")
    assert db.execute("SELECT metadata ->> 'type', cost FROM public.cost_tracking").fetchall() == [("cancelled", 0)]


def test_a_hold_needs_to_know_what_to_do_on_an_error(budget: Budget) -> None:
    with pytest.raises(ValueError, match="on_error is cancel or keep, not 'release'"):
        budget.hold(1, "svc", on_error="release")  # type: ignore[arg-type]


def test_a_hold_within_the_callers_transaction_is_refused(open_budget: Open) -> None:
    budget = open_budget(open_budget.connection(), in_transaction=True)
    with pytest.raises(pgbudget.InTransaction):
        budget.hold(1, "svc")


# Leaving


def test_settling_books_the_actual_cost(budget: Budget, db: Connection) -> None:
    with budget.hold(2, "svc") as hold:
        outcome = hold.settle(Decimal("1.5"), {"tokens": 7})
    assert (outcome.status, outcome.actual_cost) == ("actual", Decimal("1.5"))
    assert state(db, hold) == ("actual", 150)
    assert ledger(db, hold.reservation_id).metadata["tokens"] == 7


def test_cancelling_says_that_nothing_was_spent(budget: Budget, db: Connection) -> None:
    with budget.hold(2, "svc") as hold:
        assert hold.cancel("the answer was in the cache").status == "cancelled"
    assert state(db, hold) == ("cancelled", 0)
    assert ledger(db, hold.reservation_id).metadata["cancel_reason"] == "the answer was in the cache"


@pytest.mark.parametrize("error", [BoomError("a secret prompt"), Stop()])
def test_an_exception_cancels(budget: Budget, db: Connection, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, budget.hold(2, "svc") as hold:
        raise error
    assert caught.value is error
    assert state(db, hold) == ("cancelled", 0)
    assert ledger(db, hold.reservation_id).metadata["cancel_reason"] == type(error).__name__


@pytest.mark.parametrize("error", [BoomError("a secret prompt"), Stop()])
def test_an_exception_that_is_to_keep_settles_at_the_estimate(
    budget: Budget, db: Connection, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught, budget.hold(2, "svc", on_error="keep") as hold:
        assert hold.extend(3)
        assert not hold.extend(1000)
        raise error
    assert caught.value is error
    assert state(db, hold) == ("actual", 300)
    assert ledger(db, hold.reservation_id).metadata["settled_on_error"] == type(error).__name__


@pytest.mark.parametrize("on_error", ["cancel", "keep"])
def test_an_exception_after_settling_changes_nothing(budget: Budget, db: Connection, on_error: Any) -> None:
    with pytest.raises(BoomError), budget.hold(2, "svc", on_error=on_error) as hold:
        hold.settle(1)
        raise BoomError
    assert state(db, hold) == ("actual", 100)


@pytest.mark.parametrize("on_error", ["cancel", "keep"])
def test_a_settle_that_fails_leaves_the_hold_to_count(budget: Budget, db: Connection, on_error: Any) -> None:
    """The money is spent, and the amount was wrong: neither nothing nor the estimate is true."""
    with pytest.raises(pgbudget.AmountOutOfRange), budget.hold(2, "svc", on_error=on_error) as hold:
        hold.settle(-1)
    assert state(db, hold) == ("reservation", 200)


def leave_at_the_end(budget: Budget) -> None:
    with budget.hold(2, "svc"):
        pass


def leave_by_return(budget: Budget) -> None:
    with budget.hold(2, "svc", on_error="keep"):
        return


def leave_by_break(budget: Budget) -> None:
    for _ in range(2):
        with budget.hold(2, "svc"):
            break


@pytest.mark.parametrize("leave", [leave_at_the_end, leave_by_return, leave_by_break])
def test_leaving_without_settling_is_an_error_and_the_hold_counts_on(
    budget: Budget, db: Connection, leave: Callable[[Budget], None]
) -> None:
    with pytest.raises(pgbudget.Unsettled, match="without settling") as caught:
        leave(budget)
    assert state(db, caught.value) == ("reservation", 200)
    assert budget.status().held == 2
    assert budget.settle(caught.value.reservation_id, 1).late is False


def test_a_stream_that_nobody_reads_to_its_end_is_kept(budget: Budget, db: Connection) -> None:
    holds: list[UUID] = []

    def stream() -> Iterator[str]:
        with budget.hold(2, "svc", on_error="keep") as hold:
            holds.append(hold.reservation_id)
            yield "first"
            pytest.fail("the reader came back")

    tokens = stream()
    assert next(tokens) == "first"
    tokens.close()  # type: ignore[attr-defined]
    assert ledger(db, holds[0]).cost == 2
    assert ledger(db, holds[0]).metadata["settled_on_error"] == "GeneratorExit"


# Leaving while the database cannot be reached


@pytest.mark.parametrize("on_error", ["cancel", "keep"])
def test_an_error_of_giving_up_does_not_hide_the_exception(
    open_budget: Open, db: Connection, on_error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connection = open_budget.connection()
    budget = open_budget(connection)
    error = BoomError()
    with pytest.raises(BoomError) as caught, budget.hold(2, "svc", on_error=on_error) as hold:
        terminate(db, connection.info.backend_pid)
        raise error
    assert caught.value is error
    assert state(db, hold) == ("reservation", 200)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("pgbudget", logging.ERROR)
    assert str(hold.reservation_id) in record.getMessage()
    assert "UndeliveredSettlement" in caplog.text


@pytest.mark.parametrize(("on_error", "logged"), [("cancel", 0), ("keep", 1)])
def test_a_hold_that_somebody_deleted_needs_no_cancel(
    budget: Budget, db: Connection, on_error: Any, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BoomError), budget.hold(2, "svc", on_error=on_error):
        db.execute("DELETE FROM public.cost_tracking")
        raise BoomError
    assert len(caplog.records) == logged


@pytest.mark.parametrize("queued", [False, True])
def test_a_settlement_is_lost_and_delivered_later(open_budget: Open, db: Connection, queued: bool) -> None:
    """Leaving does not cancel what was settled and did not arrive; nor is it an error to have kept it for later."""
    connection = open_budget.connection()
    budget = open_budget(connection)
    queue: list[pgbudget.UndeliveredSettlement] = []

    def work() -> None:
        with budget.hold(2, "svc") as hold:
            terminate(db, connection.info.backend_pid)
            try:
                hold.settle(Decimal("1.5"), {"tokens": 7})
            except pgbudget.UndeliveredSettlement as error:
                queue.append(error)
                if not queued:
                    raise

    if queued:
        work()
    else:
        with pytest.raises(pgbudget.UndeliveredSettlement):
            work()
    [undelivered] = queue
    hold = undelivered.arguments["reservation_id"]
    assert ledger(db, hold).metadata["type"] == "reservation"
    assert undelivered.deliver(open_budget()).actual_cost == Decimal("1.5")
    row = ledger(db, hold)
    assert (row.cost, row.metadata["tokens"]) == (Decimal("1.5"), 7)


# Growing


def test_a_hold_grows_while_a_call_streams(budget: Budget, db: Connection) -> None:
    spent = Decimal(0)
    with budget.hold(30, "svc") as hold:
        while spent < 200:
            if spent + 30 > hold.estimate and not hold.extend(hold.estimate + 30):
                break
            spent += 30
        assert spent == hold.estimate == 90  # 120 would be more than the limit
        expiry = ledger(db, hold.reservation_id).expires_at
        longer = hold.extend(ttl=timedelta(hours=6))
        assert longer.expires_at
        assert longer.expires_at - expiry > timedelta(hours=4)
        assert hold.estimate == 90
        hold.settle(spent)
    assert state(db, hold) == ("actual", 9000)


def test_a_hold_that_has_ended_grows_no_more(budget: Budget) -> None:
    with budget.hold(1, "svc") as hold:
        hold.settle(1)
        with pytest.raises(pgbudget.HoldStateError):
            hold.extend(2)
        assert hold.estimate == 1
