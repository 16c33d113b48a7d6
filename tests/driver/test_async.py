"""What only asyncio has: many tasks at once, and their cancellation at any moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

import pgbudget.budget
from pgbudget import AsyncBudget, AsyncHold, Event, Refused
from tests import race
from tests.conftest import Connect
from tests.race import SECONDS, Connection, waiting
from tests.rows import ledger_size, value
from tests.series import SLOTS

T = TypeVar("T")
TASKS = 64
STATES = "SELECT metadata ->> 'type', cost FROM public.cost_tracking"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a cancellation waits for take as long as it takes here."""
    monkeypatch.setattr(pgbudget.budget, "GRACE_SECONDS", SECONDS)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, SECONDS))


async def until(condition: Callable[[], bool], what: str) -> None:
    """`tests.race.until`, while the loop goes on."""
    await asyncio.get_running_loop().run_in_executor(None, race.until, condition, what)


# Many tasks


async def crowd(budget: AsyncBudget, estimate: Decimal) -> list[Decimal | Refused]:
    """Tasks that are let go together, and that settle when all of them have been decided on."""
    ready, decided, gate = 0, 0, asyncio.Event()
    all_decided = asyncio.Event()

    def decide() -> None:
        nonlocal decided
        decided += 1
        if decided == TASKS:
            all_decided.set()

    async def task() -> Decimal | Refused:
        nonlocal ready
        ready += 1
        if ready == TASKS:
            gate.set()
        await gate.wait()
        try:
            async with budget.hold(estimate, "svc") as hold:
                decide()
                await all_decided.wait()
                await hold.settle(estimate)
                return hold.verdict.current_total
        except Refused as refused:
            decide()
            return refused

    return await asyncio.gather(*(task() for _ in range(TASKS)))


@pytest.mark.parametrize("kind", ["conninfo", "pool"])
def test_64_tasks_at_one_limit_never_pass_it(dsn: str, db: Connection, kind: str) -> None:
    estimate = Decimal("2.5")

    async def work() -> list[Decimal | Refused]:
        if kind == "conninfo":
            async with AsyncBudget(dsn) as budget:
                return await crowd(budget, estimate)
        async with AsyncConnectionPool(dsn, min_size=8, max_size=8, open=False) as pool:
            await pool.wait()
            return await crowd(AsyncBudget(pool), estimate)

    answers = run(work())
    granted = sorted(answer for answer in answers if isinstance(answer, Decimal))
    assert len(granted) == 40
    if SLOTS == 1:
        assert granted == [estimate * n for n in range(40)]  # what each found there before it
    assert len(answers) - len(granted) == TASKS - 40
    assert db.execute(STATES + " GROUP BY 1, 2").fetchall() == [("actual", estimate)]
    assert value(db, "SELECT sum(cost) FROM public.cost_tracking") == 100


def test_tasks_that_start_together_share_one_connection(dsn: str, db: Connection) -> None:
    dsn = make_conninfo(dsn, application_name="shared")

    async def work() -> int:
        async with AsyncBudget(dsn) as budget:
            await asyncio.gather(*(budget.status() for _ in range(20)))
            return int(value(db, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shared'"))

    assert run(work()) == 1


# Cancellation


async def cancelled(task: asyncio.Task[Any], times: int = 1) -> None:
    """Cancel the task, as often as anyio would, and see that it ends as cancelled."""
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("times", [1, 20])
@pytest.mark.parametrize(("on_error", "left"), [("cancel", ("cancelled", 0)), ("keep", ("actual", 2))])
def test_a_task_cancelled_in_the_block_ends_its_hold(
    dsn: str, db: Connection, on_error: Any, left: tuple[str, int], times: int
) -> None:
    async def work() -> None:
        entered = asyncio.Event()
        async with AsyncBudget(dsn) as budget:

            async def call() -> None:
                async with budget.hold(2, "svc", on_error=on_error):
                    entered.set()
                    await asyncio.sleep(SECONDS)

            task = asyncio.create_task(call())
            await entered.wait()
            await cancelled(task, times)

    run(work())
    assert db.execute(STATES).fetchall() == [left]


def test_a_timeout_in_the_block_ends_its_hold_and_is_a_timeout(dsn: str, db: Connection) -> None:
    async def work() -> None:
        async with AsyncBudget(dsn) as budget:
            await budget.version()

            async def call() -> None:
                async with budget.hold(2, "svc"):
                    await asyncio.sleep(SECONDS)

            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call(), 0.5)

    run(work())
    assert db.execute(STATES).fetchall() == [("cancelled", 0)]


def test_a_task_cancelled_while_it_waits_to_reserve_holds_nothing(
    dsn: str, db: Connection, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    holder = connect(autocommit=False)
    holder.execute("LOCK TABLE public.cost_tracking IN EXCLUSIVE MODE")

    async def work() -> None:
        async with AsyncBudget(dsn) as budget:
            await budget.version()

            async def call() -> None:
                async with budget.hold(2, "svc"):
                    pytest.fail("the block was entered")

            task = asyncio.create_task(call())
            await until(lambda: waiting(db), "the call to wait")
            asyncio.get_running_loop().call_later(0.3, holder.rollback)  # what gives up needs the table too
            await cancelled(task)

    run(work())
    assert ledger_size(db) == 0  # what had waited on until it was granted would have left a row
    assert not caplog.records


Settling = Callable[[AsyncBudget, AsyncHold], Awaitable[object]]
POSTINGS: dict[str, tuple[Settling, tuple[str, int]]] = {
    "hold.settle": (lambda _, hold: hold.settle(1), ("actual", 1)),
    "hold.cancel": (lambda _, hold: hold.cancel(), ("cancelled", 0)),
    "budget.settle": (lambda budget, hold: budget.settle(hold.reservation_id, 1), ("actual", 1)),
}


@pytest.mark.parametrize("times", [1, 20])
@pytest.mark.parametrize("posting", POSTINGS)
def test_a_settlement_that_has_begun_is_finished_first(
    dsn: str, db: Connection, connect: Connect, posting: str, times: int
) -> None:
    """Its row is locked by somebody else, so that the cancellation finds it on its way."""
    post, left = POSTINGS[posting]
    holder = connect(autocommit=False)

    async def work() -> None:
        async with AsyncBudget(dsn) as budget:

            async def call() -> None:
                async with budget.hold(2, "svc") as hold:
                    holder.execute("SELECT FROM public.cost_tracking FOR UPDATE")
                    await post(budget, hold)
                    pytest.fail("the cancellation got lost")

            task = asyncio.create_task(call())
            await until(lambda: waiting(db), "the call to wait")
            asyncio.get_running_loop().call_later(0.2, holder.rollback)
            await cancelled(task, times)

    run(work())
    assert db.execute(STATES).fetchall() == [left]


def test_a_cancellation_waits_for_a_settlement_only_so_long(
    dsn: str, db: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pgbudget.budget, "GRACE_SECONDS", 0.2)
    holder = connect(autocommit=False)

    events: list[Event] = []

    async def work() -> None:
        async with AsyncBudget(dsn, on_event=events.append) as budget:

            async def call() -> None:
                async with budget.hold(2, "svc", on_error="cancel") as hold:
                    holder.execute("SELECT FROM public.cost_tracking FOR UPDATE")
                    await hold.settle(Decimal("1.25"))

            task = asyncio.create_task(call())
            await until(lambda: waiting(db), "the call to wait")
            await cancelled(task)

    run(work())
    assert isinstance(events[-1].error, asyncio.CancelledError)
    holder.rollback()
    assert db.execute(STATES).fetchall() == [("reservation", 2)]
    [record] = [record for record in caplog.records if record.name == "pgbudget"]
    assert record.levelno == logging.ERROR
    assert "1.25" in record.getMessage()


def test_a_settlement_that_fails_while_its_task_is_cancelled_is_logged(
    dsn: str, db: Connection, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    holder = connect(autocommit=False)
    dsn = make_conninfo(dsn, options="-clock_timeout=300")

    async def work() -> None:
        async with AsyncBudget(dsn, attempts=1) as budget:

            async def call() -> None:
                async with budget.hold(2, "svc") as hold:
                    holder.execute("SELECT FROM public.cost_tracking FOR UPDATE")
                    await hold.settle(Decimal("1.25"))

            task = asyncio.create_task(call())
            await until(lambda: waiting(db), "the call to wait")
            await cancelled(task)

    run(work())
    holder.rollback()
    [record] = [record for record in caplog.records if record.name == "pgbudget"]
    assert "1.25" in record.getMessage()


def test_a_cancellation_during_the_clean_up_is_not_lost(dsn: str, db: Connection, connect: Connect) -> None:
    """It is raised once the hold is cancelled, in place of the block's own exception, which others may catch."""
    holder = connect(autocommit=False)

    async def work() -> None:
        async with AsyncBudget(dsn) as budget:

            async def call() -> None:
                async with budget.hold(2, "svc"):
                    holder.execute("SELECT FROM public.cost_tracking FOR UPDATE")
                    raise ValueError("the call failed")

            task = asyncio.create_task(call())
            await until(lambda: waiting(db), "the call to wait")
            asyncio.get_running_loop().call_later(0.2, holder.rollback)
            await cancelled(task)

    run(work())
    assert db.execute(STATES).fetchall() == [("cancelled", 0)]


def test_everything_else_is_broken_off(dsn: str, db: Connection, connect: Connect) -> None:
    """And the client's connection serves the next call."""
    holder = connect(autocommit=False)
    holder.execute("LOCK TABLE public.cost_tracking IN EXCLUSIVE MODE")
    events: list[Event] = []

    async def work() -> None:
        async with AsyncBudget(dsn, on_event=events.append) as budget:
            await budget.version()
            task = asyncio.create_task(budget.reserve(1, "svc"))
            await until(lambda: waiting(db), "the call to wait")
            await cancelled(task)
            holder.rollback()
            assert await budget.reserve(2, "svc")

    run(work())
    assert [type(event.error) for event in events] == [type(None), asyncio.CancelledError, type(None)]
    assert ledger_size(db) == 1


def test_a_forgotten_await_reserves_nothing(dsn: str, db: Connection) -> None:
    async def work() -> None:
        async with AsyncBudget(dsn) as budget:
            forgotten = budget.reserve(1, "svc")
            forgotten.close()

    run(work())
    assert ledger_size(db) == 0
