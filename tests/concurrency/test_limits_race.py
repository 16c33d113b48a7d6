"""Limits that change, and a budget that freezes, while others reserve: what is committed when one decides rules it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import rows
from tests.concurrency.calls import (
    VARIANTS,
    call,
    cancel,
    extend,
    freeze,
    holds,
    insert,
    lock_ledger,
    record,
    reserve,
    set_limits,
    settle,
    total,
)
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd, Job, until
from tests.rows import value

Open = Callable[[], Session]

CLIENTS = 8

EITHER = pytest.mark.parametrize("variant", VARIANTS)

CHANGES = {"freeze": freeze("stop"), "set_limits": set_limits(emergency_kill=60)}
CHANGE = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@EITHER
@CHANGE
def test_a_decision_goes_by_what_was_committed_while_it_waited(
    db: Connection, session: Open, variant: str, change: Job[Any]
) -> None:
    insert(40)(db)
    holder, other, admin = session(), session(), session()
    with holder.open(reserve("reserve", 10)):
        decision = other.start(reserve(variant, 20))
        decision.waits_for(holder)
        admin.do(change)
    assert decision.result().reason == ("frozen" if change is CHANGES["freeze"] else "in_flight")


@pytest.mark.parametrize("end", ["record", "settle"])
def test_spend_goes_by_the_limits_that_were_committed_while_it_waited(db: Connection, session: Open, end: str) -> None:
    [hold] = holds(db, 1, 10)
    spend = record(30) if end == "record" else settle(hold, 40)
    holder, other, admin = session(), session(), session()
    insert(30)(db)
    with holder.open(lock_ledger()):
        step = other.start(spend)
        step.waits_for(holder)
        admin.do(set_limits(emergency_kill=60))
    assert step.result().over_limit


@EITHER
@CHANGE
def test_a_change_not_yet_committed_neither_counts_nor_holds_anyone_up(
    db: Connection, session: Open, variant: str, change: Job[Any]
) -> None:
    [hold] = holds(db, 1, 10)
    admin, other = session(), session()
    with admin.open(change):
        assert other.do(reserve(variant, 80)).can_proceed
        assert other.do(extend(hold, 20)).can_proceed
        assert other.do(settle(hold, 20)).status == "actual"
    assert not other.do(reserve(variant, 1)).can_proceed


def test_a_freeze_stops_every_decision_after_it_and_no_ending(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    def client(variant: str) -> Job[list[str]]:
        """Reserve and settle at once, over and over, until three calls after the first that was refused."""

        def run(connection: Connection) -> list[str]:
            reasons: list[str] = []
            while reasons[-3:] != ["frozen"] * 3 and len(reasons) < 2000:
                verdict = reserve(variant, 1)(connection)
                reasons.append(verdict.reason)
                if verdict.can_proceed:
                    settle(verdict.reservation_id, 0)(connection)
            return reasons

        return run

    def admin(connection: Connection) -> list[str]:
        until(lambda: value(connection, "SELECT count(*) FROM public.cost_tracking") > 5 * CLIENTS, "a few grants")
        freeze("stop")(connection)
        return []

    for reasons in crowd(CLIENTS + 1).race([*(client(VARIANTS[n % 2]) for n in range(CLIENTS)), admin])[:-1]:
        assert reasons == ["granted"] * (len(reasons) - 3) + ["frozen"] * 3
    assert value(db, "SELECT count(*) FROM budget.open_holds") == 0


def test_limits_that_go_up_and_down_are_never_passed(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    def client(variant: str) -> Job[Any]:
        def run(connection: Connection) -> None:
            for _ in range(20):
                verdict = reserve(variant, 20)(connection)
                assert verdict.limit_amount in {60, 100}
                assert verdict.can_proceed == (verdict.current_total + 20 <= verdict.limit_amount)
                if verdict.can_proceed:
                    cancel(verdict.reservation_id)(connection)

        return run

    def admin(connection: Connection) -> None:
        for limit in [60, 100] * 10:
            set_limits(emergency_kill=limit)(connection)
            assert total(connection) <= 100

    crowd(CLIENTS + 1).race([*(client(VARIANTS[n % 2]) for n in range(CLIENTS)), admin])


def test_two_changes_at_once_keep_each_others_keys(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    clients = crowd(2)
    for amount in range(1, 51):
        clients.race([set_limits(daily_soft_cap=amount), set_limits(daily_hard_cap=50 + amount)])
        limits = rows.call(db, "limits")
        assert (limits.daily_soft_cap, limits.daily_hard_cap, limits.emergency_kill) == (amount, 50 + amount, 100)


def test_a_change_of_limits_waits_for_another_and_keeps_its_keys(db: Connection, session: Open) -> None:
    holder, other = session(), session()
    with holder.open(set_limits(daily_soft_cap=1)):
        change = other.start(set_limits(daily_hard_cap=60))
        change.waits_for(holder)
    limits = change.result()
    assert (limits.daily_soft_cap, limits.daily_hard_cap, limits.emergency_kill) == (1, 60, 100)


def test_many_freezes_are_one(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    clients = crowd(CLIENTS)
    for number in range(1, 11):
        [frozen] = set(clients.race([freeze(f"reason {n}") for n in range(CLIENTS)]))
        assert frozen[:2] == rows.one(db, "SELECT frozen, frozen_reason FROM budget.status")
        [unfrozen] = set(clients.race([call("unfreeze")] * CLIENTS))
        assert not unfrozen.frozen
        noted = [e.kind for e in rows.escalations(db) if e.kind != "budget_limits_changed"]
        assert noted == ["budget_frozen"] * number + ["budget_unfrozen"] * number
