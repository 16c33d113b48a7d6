"""Two sessions, one call each, in every order of their steps, each committed and rolled back; the table is in `races`.

One that has to wait is seen to wait, and cannot go on before its rival has ended. One whose rival was rolled back
answers as if that had never come.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple
from uuid import UUID

import pytest

from tests.concurrency.calls import (
    empty_ledger,
    escalations,
    forget_escalations,
    freeze,
    insert,
    reserve,
    set_limits,
    sqlstate,
    unfreeze,
)
from tests.concurrency.interleavings import COMMIT, ROLLBACK, Interleaving, Named, Order, Trace, merges
from tests.concurrency.races import ONE_DAY, ONE_HOLD, OTHER, Day, Race, says
from tests.concurrency.sessions import Session
from tests.pgtap import is_empty
from tests.race import Connection
from tests.rows import value

pytestmark = pytest.mark.proof

Ends = tuple[Named, Named]
Sessions = tuple[Session, Session]
LeftOver = Callable[[Connection, UUID], str]

NOBODY = -1
REFUSALS = {"in_flight", "exhausted", "too_large", "frozen"}


def make(db: Connection, day: Day, limit: int) -> UUID:
    """Make the day; its hold."""
    empty_ledger(db)
    unfreeze()(db)
    set_limits(emergency_kill=limit)(db)
    insert(day.spent)(db)
    if day.other:
        reserve("reserve", day.other, p_reservation_id=OTHER)(db)
    ttl = "1 microsecond" if day.lapsed else None
    hold: UUID = reserve("reserve", day.hold, p_ttl=ttl)(db).reservation_id
    if day.frozen:
        freeze("before")(db)
    forget_escalations(db)
    return hold


def cost_of_the_hold(db: Connection, hold: UUID) -> str:
    found = db.execute("SELECT cost FROM public.cost_tracking WHERE id = %s", [hold]).fetchone()
    return str(found[0]) if found else "no row"


def total_of_the_day(db: Connection, _: UUID) -> str:
    return str(value(db, "SELECT settled + held FROM budget.status"))


class Expected(NamedTuple):
    is_possible: bool
    waits: bool
    answers: tuple[str, str]
    left_over: str


def expect(race: Race, order: Order, ends: Ends, alone: dict[int, str]) -> Expected:
    """What the table says of an order. `alone`: what is left over when only one of the two comes, or nobody."""
    one, two = order[0], 1 - order[0]
    firsts = race.left_first, race.right_first
    meanwhile = (race.left_open, race.right_open)[one] if order[1] == two else None
    waits = order[1] == two and meanwhile is None
    committed = {who for who in (one, two) if ends[who] is COMMIT}

    end = meanwhile or firsts[one]
    answers = [*end[:2]]
    if meanwhile is None and one not in committed:
        answers[two] = firsts[two][two]
    if len(committed) == 2:
        left_over = end.left_over
    else:
        # Who did otherwise than it does alone, for the sake of one who was rolled back, did nothing.
        left_over = alone[next((who for who in committed if answers[who] == firsts[who][who]), NOBODY)]
    return Expected(not (waits and order[2] == two), waits, (answers[0], answers[1]), left_over)


def was_refused(race: Race, who: int, trace: Trace) -> bool:
    """By a decision, which escalates it."""
    return getattr(trace.answers[who]["call"], "reason", "") in REFUSALS and not race.names[who].startswith("check")


@pytest.fixture
def sessions(session: Callable[[], Session]) -> Sessions:
    return session(), session()


def check_every_order(db: Connection, sessions: Sessions, race: Race, limit: int, left_over: LeftOver) -> None:
    calls = race.left, race.right
    alone = {}
    for who in (NOBODY, 0, 1):
        hold = make(db, race.day, limit)
        if who != NOBODY:
            sqlstate(calls[who](hold))(db)
        alone[who] = left_over(db, hold)

    for order, *both in product(merges(2, 2), (COMMIT, ROLLBACK), (COMMIT, ROLLBACK)):
        ends = both[0], both[1]
        want = expect(race, order, ends, alone)
        hold = make(db, race.day, limit)
        sides = [[Named("call", call(hold)), end] for call, end in zip(calls, ends, strict=True)]
        trace = Interleaving(sessions, sides).run(order)

        told = f"{order}, {ends[0].name}, {ends[1].name}: {trace.story}\nexpected: {want}"
        assert trace.is_possible == want.is_possible, told
        assert bool(trace.waited) == want.waits, told
        if not want.is_possible:
            continue
        assert all(says(trace.answers[who]["call"], want.answers[who]) for who in (0, 1)), told
        assert left_over(db, hold) == want.left_over, f"{told}\nleft over: {left_over(db, hold)}"
        refused = [ends[who] for who in (0, 1) if was_refused(race, who, trace)]
        told_of = [kind for kind, _ in escalations(db)].count("budget_refused")
        # One that was rolled back may have kept another from telling: the next refusal makes up for it.
        assert told_of == (COMMIT in refused) or (told_of == 0 and ROLLBACK in refused), told
        is_empty(db, "SELECT * FROM budget.invariants")


@pytest.mark.parametrize("race", ONE_HOLD.values(), ids=ONE_HOLD)
def test_one_hold(db: Connection, sessions: Sessions, race: Race) -> None:
    check_every_order(db, sessions, race, 10**6, cost_of_the_hold)


@pytest.mark.parametrize("race", ONE_DAY.values(), ids=ONE_DAY)
def test_one_day(db: Connection, sessions: Sessions, race: Race) -> None:
    check_every_order(db, sessions, race, 100, total_of_the_day)
