"""Who waits for whom, step by step: decisions for each other, plain writers for the table lock alone, readers never.

With budgets no decision takes the table lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.concurrency.calls import (
    UNDER_TABLE_LOCK,
    VARIANTS,
    call,
    cancel,
    change,
    delete,
    expire,
    extend,
    freeze,
    holds,
    insert,
    record,
    reserve,
    set_limits,
    settle,
    sqlstate,
    total,
    update,
)
from tests.concurrency.sessions import Session
from tests.race import Connection, Job
from tests.rows import value

Open = Callable[[], Session]

EITHER = pytest.mark.parametrize("variant", VARIANTS)
FIRST = pytest.mark.parametrize("first", VARIANTS)
SECOND = pytest.mark.parametrize("second", VARIANTS)


@FIRST
@SECOND
def test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed(
    db: Connection, session: Open, first: str, second: str
) -> None:
    insert(85)(db)
    holder, other = session(), session()
    with holder.open(reserve(first, 10)) as granted:
        assert granted.can_proceed
        decision = other.start(reserve(second, 10))
        decision.waits_for(holder)
    verdict = decision.result()
    assert (verdict.can_proceed, verdict.reason, verdict.current_total) == (False, "in_flight", 95)
    assert total(db) == 95


@FIRST
@SECOND
def test_a_decision_waits_for_an_open_one_and_then_sees_nothing_of_it_once_rolled_back(
    db: Connection, session: Open, first: str, second: str
) -> None:
    insert(85)(db)
    holder, other = session(), session()
    with holder.open(reserve(first, 10)):
        decision = other.start(reserve(second, 10))
        decision.waits_for(holder)
        holder.rollback()
    verdict = decision.result()
    assert (verdict.can_proceed, verdict.current_total) == (True, 85)
    assert total(db) == 95


@EITHER
def test_an_extension_is_a_decision_too(db: Connection, session: Open, variant: str) -> None:
    [hold] = holds(db, 1, 5)
    insert(80)(db)
    holder, other = session(), session()
    with holder.open(reserve(variant, 10)):
        decision = other.start(extend(hold, 15))
        decision.waits_for(holder)
    assert decision.result().reason == "in_flight"
    with holder.open(extend(hold, 10)) as extended:
        assert extended.can_proceed
        decision = other.start(reserve(variant, 1))
        decision.waits_for(holder)
    assert (decision.result().reason, total(db)) == ("in_flight", 100)


def test_who_waits_for_a_hold_keeps_no_decision_waiting(db: Connection, session: Open) -> None:
    """The own row comes before the decision lock."""
    [hold] = holds(db, 1, 5)
    holder, waiter, other = session(), session(), session()
    other.connection.execute("SET lock_timeout = '1s'")
    with holder.open(settle(hold, 5)):
        extension = waiter.start(sqlstate(extend(hold, 6)))
        extension.waits_for(holder)
        assert other.do(reserve("reserve_advisory", 10)).can_proceed
    assert extension.result() == "PB004"


@SECOND
def test_a_queue_of_decisions_is_let_through_one_by_one(db: Connection, session: Open, second: str) -> None:
    """Whoever is let through decides on what the one before it committed, not on what was there when it queued."""
    insert(60)(db)
    holder, *others = (session() for _ in range(5))
    with holder.open(reserve("reserve_advisory", 10)):
        queue = [other.start(reserve(second, 10)) for other in others]
        for decision in queue:
            decision.waits_for(holder)
    verdicts = {v.current_total: v.can_proceed for v in (decision.result() for decision in queue)}
    assert verdicts == {70: True, 80: True, 90: True, 100: False}


def of_own_row(job: Callable[..., Job[Any]], *args: object) -> Callable[[Connection], Job[Any]]:
    return lambda db: job(*holds(db, 1, 1), *args)


def expiry(db: Connection) -> Job[Any]:
    holds(db, 1, 1, ttl="1 millisecond")
    return expire()


# What writes the ledger without deciding anything; each is prepared before the decision that it meets is opened.
WRITERS: dict[str, Callable[[Connection], Job[Any]]] = {
    "insert": lambda _: insert(1),
    "update": of_own_row(update, 1),
    "delete": of_own_row(delete),
    "settle": of_own_row(settle, 1),
    "settle above the estimate": of_own_row(settle, 2),
    "cancel": of_own_row(cancel),
    "record": lambda _: record(1),
    "expire": expiry,
}
WRITER = pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)


@EITHER
@WRITER
def test_a_writer_waits_for_no_decision_but_one_under_the_table_lock(
    db: Connection, session: Open, writer: Callable[[Connection], Job[Any]], variant: str
) -> None:
    write, holder, other = writer(db), session(), session()
    with holder.open(reserve(variant, 10)):
        written = other.start(write)
        if variant in UNDER_TABLE_LOCK:
            written.waits_for(holder)
        else:
            assert written.result()
    assert written.result()


@EITHER
@WRITER
def test_no_decision_waits_for_an_open_writer_but_one_under_the_table_lock_which_counts_it(
    db: Connection, session: Open, writer: Callable[[Connection], Job[Any]], variant: str
) -> None:
    """The others read what is committed: they neither count what may yet be rolled back nor wait to know."""
    write, holder, other = writer(db), session(), session()
    total_of_the_day = "SELECT settled + held FROM budget.status"
    counted = value(db, total_of_the_day)
    with holder.open(write):
        decision = other.start(reserve(variant, 10))
        if variant in UNDER_TABLE_LOCK:
            decision.waits_for(holder)
        else:
            assert decision.result()
    current_total = decision.result().current_total
    if variant in UNDER_TABLE_LOCK:
        counted = value(db, total_of_the_day) - 10
    assert current_total == counted


# What neither writes the ledger nor decides: readers, and administrators.
BYSTANDERS = [
    call("check", 10, "test"),
    change("SELECT FROM budget.status"),
    total,
    set_limits(emergency_kill=200),
    freeze("stop"),
]


@EITHER
def test_readers_and_administrators_go_on_beside_any_decision(session: Open, variant: str) -> None:
    holder, other = session(), session()
    with holder.open(reserve(variant, 10)):
        for bystander in BYSTANDERS:
            other.do(bystander)
