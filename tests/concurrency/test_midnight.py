"""The day ends while others are at it: a hold stays in the day that admitted it, a decision is of its own instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests import rows
from tests.clock import Clock, utc
from tests.concurrency.calls import (
    LIMIT,
    VARIANTS,
    cancel,
    extend,
    holds,
    lock_ledger,
    record,
    reserve,
    set_limits,
    settle,
)
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd, Job

Open = Callable[[], Session]

EVE = utc("2025-10-03T23:59:30")
MIDNIGHT = utc("2025-10-04T00:00:00")
DAY = timedelta(days=1)

CLIENTS = 16
ROUNDS = 30

EITHER = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture
def clock(db: Connection) -> Clock:
    """Half a minute before the day ends."""
    set_limits(timezone="UTC")(db)
    return Clock(db, EVE)


def spend_by_day(db: Connection) -> dict[date, Decimal]:
    return dict(
        db.execute(
            "SELECT (created_at AT TIME ZONE 'UTC')::date, sum(cost) FROM public.cost_tracking GROUP BY 1"
        ).fetchall()
    )


@EITHER
def test_a_hold_stays_in_the_day_that_admitted_it(db: Connection, clock: Clock, variant: str) -> None:
    settled, cancelled, extended, overrun = (reserve(variant, 25)(db).reservation_id for _ in range(4))
    clock.set(MIDNIGHT)
    assert reserve(variant, 100)(db).current_total == 0

    assert settle(settled, 20)(db).over_limit is False
    assert cancel(cancelled)(db).status == "cancelled"
    assert extend(extended, 56)(db).reason == "in_flight"
    assert extend(extended, 55)(db).reason == "granted"
    assert settle(overrun, 26)(db).over_limit is True

    assert spend_by_day(db) == {EVE.date(): 101, MIDNIGHT.date(): 100}
    assert [e.day for e in rows.escalations(db) if e.kind == "budget_overrun"] == [EVE.date().isoformat()]


@EITHER
def test_a_decision_that_waited_past_midnight_is_of_the_new_day(
    db: Connection, session: Open, clock: Clock, variant: str
) -> None:
    holds(db, 1, 90)
    holder, other = session(), session()
    with holder.open(reserve("reserve", 10)):
        decision = other.start(reserve(variant, 100))
        decision.waits_for(holder)
        clock.set(MIDNIGHT)
    verdict = decision.result()
    assert (verdict.reason, verdict.current_total, verdict.resets_at) == ("granted", 0, MIDNIGHT + DAY)
    assert spend_by_day(db) == {EVE.date(): 100, MIDNIGHT.date(): 100}


def test_spend_that_waited_past_midnight_is_of_the_new_day(db: Connection, session: Open, clock: Clock) -> None:
    holder, other = session(), session()
    holds(db, 1, 100)
    with holder.open(lock_ledger()):
        recorded = other.start(record(30))
        recorded.waits_for(holder)
        clock.set(MIDNIGHT)
    assert recorded.result().over_limit is False
    assert spend_by_day(db) == {EVE.date(): 100, MIDNIGHT.date(): 30}


def test_a_crowd_at_midnight_fills_each_day_by_itself(
    db: Connection, crowd: Callable[[int], Crowd], clock: Clock
) -> None:
    """Ten holds fill the day. At midnight they are ended, and the others reserve, before it or after."""
    clients = crowd(CLIENTS + 1)

    def end(hold: Any, number: int, day: date) -> Job[tuple[date, Decimal]]:
        def run(connection: Connection) -> tuple[date, Decimal]:
            if number % 3 == 2:
                return day, Decimal(12 if extend(hold, 12)(connection).can_proceed else 10)
            job = settle(hold, 5) if number % 3 else cancel(hold)
            return day, job(connection).actual_cost

        return run

    def begin(variant: str) -> Job[tuple[date, Decimal]]:
        def run(connection: Connection) -> tuple[date, Decimal]:
            verdict = reserve(variant, 10)(connection)
            return (verdict.resets_at - DAY).date(), Decimal(10 * verdict.can_proceed)

        return run

    def strike_midnight(_: Connection) -> tuple[date, Decimal]:
        return clock.advance(minutes=1).date(), Decimal(0)

    for number in range(ROUNDS):
        eve = clock.set(EVE + 2 * number * DAY)
        verdicts = clients.race([reserve(VARIANTS[n % 2], 10) for n in range(CLIENTS)])
        taken = [verdict.reservation_id for verdict in verdicts if verdict.can_proceed]
        assert len(taken) == 10

        booked = dict[date, Decimal]()
        *answers, _ = clients.race(
            [
                *(end(hold, n, eve.date()) for n, hold in enumerate(taken)),
                *(begin(VARIANTS[n % 2]) for n in range(CLIENTS - len(taken))),
                strike_midnight,
            ]
        )
        for day, amount in answers:
            booked[day] = booked.get(day, Decimal(0)) + amount
        spent = spend_by_day(db)  # now: a later decision may sweep what has lapsed until then
        assert {day: spent[day] for day in booked} == booked
        assert max(booked.values()) <= LIMIT
