"""An idle client that holds a lock hangs nobody: whoever waits gets 55P03 in bounded time, and goes on once it ends.

Which bound is in force while a function runs is in tests/sql/test_transaction_settings.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from tests.concurrency.calls import cancel, change, expire, extend, holds, lock_ledger, record, reserve, settle, total
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd, Job
from tests.rows import value
from tests.series import by_series

Open = Callable[[], Session]
Call = Callable[[UUID], Job[Any]]

CALLS: dict[str, Call] = {
    "reserve": lambda _: reserve("reserve", 1),
    "reserve_advisory": lambda _: reserve("reserve_advisory", 1),
    "extend": lambda hold: extend(hold, 11),
    "settle": lambda hold: settle(hold, 11),
    "cancel": cancel,
    "record": lambda _: record(1),
    "expire": lambda _: expire(),
}

DECISIONS = {"reserve", "reserve_advisory", "extend"}

# What an idle client may hold, and the calls that have to wait for it.
HOLDERS: dict[str, tuple[Call, set[str]]] = {
    "the table lock": (lambda _: lock_ledger(), set(CALLS)),
    "what reserve locks": (CALLS["reserve"], by_series(core=set(CALLS), budgets=DECISIONS)),
    "what reserve_advisory locks": (CALLS["reserve_advisory"], DECISIONS),
    "the published key": (
        lambda _: change("SELECT pg_advisory_xact_lock(8099550711184319860)"),
        by_series(core=DECISIONS - {"reserve"}, budgets=DECISIONS),
    ),
    "the hold": (
        lambda hold: change("SELECT FROM public.cost_tracking WHERE id = %s FOR UPDATE", hold),
        {"extend", "settle", "cancel"},
    ),
}


class Wait(NamedTuple):
    sqlstate: str | None
    seconds: float
    lock_timeout: str
    """The caller's own setting, after the call."""


def wait(job: Job[Any], lock_timeout: str) -> Job[Wait]:
    """The job under this lock_timeout, and how it went."""

    def run(connection: Connection) -> Wait:
        connection.execute(f"SET lock_timeout = '{lock_timeout}'".encode())
        began, state = time.monotonic(), None
        try:
            job(connection)
        except psycopg.Error as error:
            state = error.sqlstate
        return Wait(state, time.monotonic() - began, value(connection, "SHOW lock_timeout"))

    return run


@pytest.mark.parametrize(("holding", "waiting"), HOLDERS.values(), ids=HOLDERS)
def test_the_callers_own_shorter_bound_holds(db: Connection, session: Open, holding: Call, waiting: set[str]) -> None:
    idle, caller = session(), session()
    for name, job in CALLS.items():
        [hold] = holds(db, 1, 1)
        with idle.open(holding(hold)):
            state, seconds, lock_timeout = caller.do(wait(job(hold), "100ms"))
            idle.rollback()
        assert (state, lock_timeout) == ("55P03" if name in waiting else None, "100ms"), name
        assert seconds >= 0.1 or name not in waiting, name


def test_without_one_the_bound_is_five_seconds_and_then_all_goes_on(
    db: Connection, session: Open, crowd: Callable[[int], Crowd]
) -> None:
    calls = [(job, lock_timeout) for job in CALLS.values() for lock_timeout in ("0", "1min")]
    jobs = [wait(job(hold), bound) for (job, bound), hold in zip(calls, holds(db, len(calls), 1), strict=True)]
    idle, clients = session(), crowd(len(jobs))
    with idle.open(lock_ledger()):
        waits = clients.race(jobs)
        assert total(db) == len(jobs)
        idle.rollback()
    assert [(w.sqlstate, w.lock_timeout) for w in waits] == [("55P03", "0"), ("55P03", "1min")] * len(CALLS)
    assert all(w.seconds >= 5 for w in waits)
    assert {w.sqlstate for w in clients.race(jobs)} == {None}


@pytest.mark.parametrize("variant", ["reserve", "reserve_advisory"])
def test_a_granted_call_leaves_the_callers_bound_as_it_was(session: Open, variant: str) -> None:
    caller = session()
    caller.connection.execute("SET lock_timeout = '1min'")
    with caller.open(reserve(variant, 10)):
        assert value(caller.connection, "SHOW lock_timeout") == "1min"
