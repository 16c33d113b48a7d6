"""The primary is lost and its standby takes over: what callers were answered is there, or it is known what is not."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

import pgbudget
from pgbudget.embedded import Server
from tests.faults import promises
from tests.faults.conftest import LAZY, prepare
from tests.faults.load import DURABLE, Load
from tests.faults.processes import kill_all, stopped
from tests.faults.standby import make_synchronous, promote, sender, standby_of
from tests.race import SECONDS, Connection, until
from tests.rows import call, fails, value
from tests.series import by_series

pytestmark = [pytest.mark.proof, pytest.mark.xdist_group("failover")]

HELD, NEW, SPENT = (UUID(int=n) for n in range(1, 4))
TEN = Decimal(10)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

WRITERS: dict[str, tuple[object, ...]] = {
    "reserve": (1, "worker"),
    "reserve_advisory": (1, "worker"),
    "extend": (HELD, 31),
    "settle": (HELD, 20),
    "cancel": (HELD,),
    "record": (1, "worker"),
    "expire": (),
    "set_limits": ({"emergency_kill": 70},),
    "freeze": ("stop",),
    "unfreeze": (),
    **by_series(
        core={},
        budgets={
            "reserve_many": (Jsonb([{"estimated_cost": 1, "service_name": "worker"}]),),
            "settle_many": (Jsonb([{"reservation_id": str(HELD), "actual_cost": 20}]),),
            "set_budget": ("another", 50),
            "drop_budget": ("services",),
            "reconcile": (),
            "prune": (),
        },
    ),
}


class Pair:
    """A primary and its standby."""

    def __init__(self, primary: Server, standby: Server, watch: Connection) -> None:
        self.primary, self.standby, self.watch, self._killed = primary, standby, watch, False

    def connect(self, **settings: str) -> Connection:
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return psycopg.connect(self.primary.dsn(), autocommit=True, options=options)

    def catch_up(self) -> None:
        """Wait until the standby shows all that the primary has committed."""
        at = value(self.watch, "SELECT pg_current_wal_flush_lsn()")
        with psycopg.connect(self.standby.dsn(), autocommit=True) as standby:
            until(lambda: value(standby, "SELECT pg_last_wal_replay_lsn() >= %s", at), "the standby to catch up")

    def kill(self) -> None:
        self._killed = True
        kill_all(self.primary, self.watch)

    def fail_over(self) -> None:
        self.kill()
        promote(self.standby)

    def clear_up(self) -> None:
        """A server that was killed leaves shared memory behind, which its next start removes."""
        if self._killed:
            self.primary.start()


@pytest.fixture
def pair(memory: None) -> Iterator[Pair]:
    with ExitStack() as opened:
        primary = opened.enter_context(Server(settings=LAZY))
        prepare(primary.dsn())
        standby = opened.enter_context(standby_of(primary))
        watch = opened.enter_context(psycopg.connect(primary.dsn(), autocommit=True))
        pair = Pair(primary, standby, watch)
        yield pair
        pair.clear_up()


@pytest.mark.parametrize("seed", range(3))
def test_a_synchronous_standby_has_all_that_was_answered(pair: Pair, seed: int) -> None:
    make_synchronous(pair.watch)
    load = Load(pair.primary.dsn(), f"failover {seed}", [DURABLE[seed % len(DURABLE)]])
    with load.running():
        time.sleep(random.Random(seed).uniform(0.1, 0.5))  # noqa: S311
        pair.kill()
    promote(pair.standby)
    load.check(pair.standby.dsn())


def test_a_caller_is_not_answered_before_a_synchronous_standby_has_it(pair: Pair) -> None:
    """Whatever he asked of `synchronous_commit`. What the standby never got is repeated there, and charged once."""
    held = promises.reserve("reserve", HELD, TEN)
    [rows] = held.send(pair.watch)
    row = rows[HELD]
    assert row
    make_synchronous(pair.watch)
    calls = (
        promises.reserve("reserve_advisory", NEW, TEN),  # the other would keep its table lock meanwhile
        promises.settle(HELD, row, Decimal(7)),
        promises.record(SPENT, Decimal(3)),
    )
    with ExitStack() as opened, ThreadPoolExecutor(len(calls)) as threads:
        callers = [opened.enter_context(pair.connect(**settings)) for settings in DURABLE]
        with stopped(sender(pair.watch)):
            answers = [threads.submit(call.send, caller) for call, caller in zip(calls, callers, strict=True)]
            until(lambda: value(pair.watch, WAITING) == len(calls), "all to wait for the standby")
            pair.fail_over()
        for answer in answers:
            with pytest.raises(psycopg.OperationalError):
                answer.result(SECONDS)
    with psycopg.connect(pair.standby.dsn(), autocommit=True) as promoted:
        assert promises.ledger(promoted) == rows
        for call in calls:
            promises.settled_doubt(promoted, call)
        assert promises.ledger(promoted) == {k: v for call in calls for k, v in call.after[0].items()}
        promises.sound(promoted)


def test_an_asynchronous_standby_lacks_the_last_answers_and_what_callers_know_makes_it_whole(pair: Pair) -> None:
    settled, cancelled, extended, lost, spent = (UUID(int=n) for n in range(1, 6))
    for hold in (settled, cancelled, extended):
        call(pair.watch, "reserve", 30, "worker", p_reservation_id=hold)
    pair.catch_up()
    with stopped(sender(pair.watch)):
        call(pair.watch, "settle", settled, 20)
        call(pair.watch, "cancel", cancelled)
        assert call(pair.watch, "extend", extended, 40).can_proceed
        assert call(pair.watch, "reserve", 25, "worker", p_reservation_id=lost).can_proceed
        call(pair.watch, "record", 5, "worker", p_id=spent)
        pair.fail_over()

    with psycopg.connect(pair.standby.dsn(), autocommit=True) as promoted:
        # As before the last answers: the first three are open, the others are not there, and the room of `lost` is
        # given away a second time.
        assert call(promoted, "check", 0, "worker").current_total == 90
        assert promises.ledger(promoted).keys() == {settled, cancelled, extended}
        assert call(promoted, "reserve", 10, "worker").can_proceed
        for function, argument in (("settle", 25), ("cancel", "failed"), ("extend", 26)):
            fails(promoted, "PB002", function, lost, argument)

        fails(promoted, "PB003", "record", 20, "worker", p_id=settled)  # it is there: to be settled
        for _ in range(2):  # repeating it is harmless
            assert call(promoted, "settle", settled, 20).actual_cost == 20
            assert call(promoted, "cancel", cancelled).status == "cancelled"
            assert call(promoted, "extend", extended, 40).can_proceed
            assert call(promoted, "record", 25, "worker", p_id=lost).actual_cost == 25
            assert call(promoted, "record", 5, "worker", p_id=spent).actual_cost == 5
            assert call(promoted, "check", 0, "worker").current_total == 20 + 0 + 40 + 10 + 25 + 5
        promises.sound(promoted)


def test_who_cancels_the_wait_for_the_standby_is_answered_without_it(pair: Pair) -> None:
    """The server says so in a warning: the commit stands on the primary alone."""
    make_synchronous(pair.watch)
    warnings: list[str | None] = []
    with pair.connect() as caller, ThreadPoolExecutor(1) as thread, stopped(sender(pair.watch)):
        caller.add_notice_handler(lambda diag: warnings.append(diag.sqlstate))
        answer = thread.submit(call, caller, "reserve", 10, "worker", p_reservation_id=NEW)
        until(lambda: value(pair.watch, WAITING), "it to wait for the standby")
        caller.cancel_safe(timeout=SECONDS)
        assert answer.result(SECONDS).can_proceed
        assert warnings == ["01000"]
        pair.fail_over()
    with psycopg.connect(pair.standby.dsn(), autocommit=True) as promoted:
        assert promises.ledger(promoted) == {}


def test_a_standby_answers_questions_and_takes_no_reservation(pair: Pair) -> None:
    """It has the server's own error; the driver hands spend back that could not be delivered there."""
    call(pair.watch, "reserve", 30, "worker", p_reservation_id=HELD)
    pair.catch_up()
    with psycopg.connect(pair.standby.dsn(), autocommit=True) as standby, pgbudget.Budget(standby) as budget:
        assert call(standby, "check", 71, "worker").reason == "in_flight"
        assert value(standby, "SELECT held FROM budget.status") == 30
        for view in ("open_holds", "daily_spend"):
            assert value(standby, f"SELECT count(*) FROM budget.{view}") == 1
        promises.sound(standby)
        for function, arguments in WRITERS.items():
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                call(standby, function, *arguments)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            budget.reserve(1, "worker")
        with pytest.raises(pgbudget.UndeliveredSettlement) as undelivered:
            budget.settle(HELD, 20)
        pair.fail_over()
        assert undelivered.value.deliver(budget).actual_cost == 20
