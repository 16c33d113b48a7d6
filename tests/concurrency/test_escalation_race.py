"""Escalations that race: one for each kind, day and subject, and nobody waits for another's open transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.concurrency.calls import (
    VARIANTS,
    empty_ledger,
    escalations,
    forget_escalations,
    holds,
    insert,
    record,
    reserve,
    settle,
)
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd, Job
from tests.rows import value

CLIENTS = 16
ROUNDS = 10

CAPS = [("budget_daily_hard_cap", "daily"), ("budget_daily_soft_cap", "daily"), ("budget_emergency_kill", "daily")]


@pytest.mark.parametrize("services", [1, CLIENTS])
def test_refused_at_once(db: Connection, crowd: Callable[[int], Crowd], services: int) -> None:
    clients = crowd(CLIENTS)
    insert(100)(db)
    for _ in range(ROUNDS):
        forget_escalations(db)
        jobs = [reserve(VARIANTS[n % 2], 1, f"service {n % services:02}") for n in range(CLIENTS)]
        assert {verdict.reason for verdict in clients.race(jobs)} == {"exhausted"}
        assert escalations(db) == [*CAPS, *(("budget_refused", f"service {n:02}") for n in range(services))]


def test_overrun_at_once(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    """Settling takes no decision lock: nothing but the escalations themselves keeps these apart."""
    clients = crowd(CLIENTS)
    for _ in range(ROUNDS):
        empty_ledger(db)
        taken = holds(db, CLIENTS, 1)
        insert(100)(db)
        forget_escalations(db)
        assert all(outcome.over_limit for outcome in clients.race([settle(hold, 2) for hold in taken]))
        assert escalations(db) == [*CAPS, *sorted(("budget_overrun", str(hold)) for hold in taken)]


def test_recorded_at_once(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    clients = crowd(CLIENTS)
    for _ in range(ROUNDS):
        empty_ledger(db)
        forget_escalations(db)
        spent = [outcome.reservation_id for outcome in clients.race([record(100)] * CLIENTS)]
        overruns = [(kind, subject) for kind, subject in escalations(db) if kind == "budget_overrun"]
        assert escalations(db) == [*CAPS, *overruns]
        assert {subject for _, subject in overruns} <= {str(spend) for spend in spent}


@pytest.fixture
def writers(db: Connection) -> dict[str, Job[Any]]:
    """Calls that write the escalations of all three caps, and one of their own."""
    taken = holds(db, 2, 1)
    insert(100)(db)
    forget_escalations(db)
    return {
        "settle": settle(taken[0], 2),
        "record": record(1),
        "refused": reserve("reserve_advisory", 1),
        "settle another": settle(taken[1], 2),
    }


@pytest.mark.parametrize("opener", ["settle", "record", "refused"])
@pytest.mark.parametrize("committed", [True, False], ids=["committed", "rolled back"])
def test_nobody_waits_for_an_open_transaction_that_escalated(
    db: Connection, session: Callable[[], Session], writers: dict[str, Job[Any]], opener: str, committed: bool
) -> None:
    holder, other = session(), session()
    # A refusal holds the decision lock as well, for which other decisions rightly wait.
    others = [name for name in writers if name != opener and not (opener == name == "refused")]
    with holder.open(writers[opener]):
        for name in others:
            assert other.do(writers[name]), name
        assert not set(CAPS) & set(escalations(db))
        if not committed:
            holder.rollback()
    assert (set(CAPS) <= set(escalations(db))) == committed

    other.do(record(1))  # whoever spends next makes up for what was rolled back
    assert [e for e in escalations(db) if e in CAPS] == CAPS


def tell(subject: str) -> Job[Any]:
    """A refusal of a new subject, as the calls tell it that no decision lock keeps apart."""
    return lambda connection: value(
        connection,
        """SELECT budget._escalate_once(
               'budget_refused', '2025-10-03', 'team', ARRAY[%s], 'critical', 'budget', '{}', NULL, '%%s are listed'
           )""",
        subject,
    )


def test_nobody_waits_at_the_end_of_the_list(db: Connection, session: Callable[[], Session]) -> None:
    """Each tells a thousandth, since neither sees the other's; and all of them see that there are no more."""
    holder, another, last = session(), session(), session()
    forget_escalations(db)
    for n in range(999):
        tell(f"subject {n}")(db)
    with holder.open(tell("one")), another.open(tell("another")):
        assert [len(escalations(db)), last.do(tell("one"))] == [999, False]
    assert len(escalations(db)) == 1001
    with holder.open(tell("late")), another.open(tell("later")):
        pass
    assert [kind for kind in escalations(db) if kind[1] == "*"] == [("budget_refused", "*")]
    assert len(escalations(db)) == 1002
