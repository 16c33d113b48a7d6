"""The checker itself: histories made by hand, sound ones that it must take, and others that it must not.

An entry is a client, when its call began and ended, the call and the answer; then comes the ledger as it was found in
the end. Times are in microseconds, amounts in cents, and the limit is 100.00.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import pytest

from tests.concurrency.histories.checking import faults
from tests.concurrency.histories.operations import (
    Call,
    Cancel,
    Check,
    Delete,
    Expire,
    Extend,
    Freeze,
    Insert,
    Operation,
    Outcome,
    Record,
    Reserve,
    ReserveAdvisory,
    SetLimits,
    Settle,
    Unfreeze,
    Update,
    Verdict,
)
from tests.concurrency.histories.programs import Program
from tests.concurrency.histories.running import History, with_busy_rows
from tests.concurrency.histories.state import HOUR, Config
from tests.series import by_series

pytestmark = pytest.mark.proof

LIMIT = 10_000
NIGHT = 12 * HOUR

Entry = tuple[str, int, int, Operation, Any]
Row = tuple[bool, str | None, int, int | None]


class Told(NamedTuple):
    entries: list[Entry]
    ledger: dict[int, Row]
    escalations: list[tuple[str, str]] | None = None
    """By default those that the answers call for."""


def granted(total: int, row_id: int, at: int, ttl: int = HOUR, limit: int = LIMIT) -> Verdict:
    return Verdict(True, total, "granted", limit, limit - total, None, NIGHT, at + ttl, row_id)


def refused(total: int, reason: str = "exhausted", retry_at: int | None = NIGHT, limit: int = LIMIT) -> Verdict:
    return Verdict(False, total, reason, limit, limit - total, retry_at, NIGHT, None, None)


def replayed(total: int, row_id: int, at: int) -> Verdict:
    return Verdict(True, total, "replayed", LIMIT, LIMIT - total, None, NIGHT, at + HOUR, row_id)


def ended(total: int) -> Verdict:
    return refused(total, "ended", None)


def settled(row_id: int, estimate: int | None, cost: int, *, over: bool = False, late: bool = False) -> Outcome:
    return Outcome("actual", estimate, cost, over, late, row_id)


def cancelled(row_id: int, estimate: int, *, late: bool = False) -> Outcome:
    return Outcome("cancelled", estimate, 0, False, late, row_id)


def held(cost: int, at: int, ttl: int = HOUR) -> Row:
    return True, "reservation", cost, at + ttl


def was_hold(state: str, cost: int) -> Row:
    return True, state, cost, None


def spent(cost: int) -> Row:
    return False, None, cost, None


def called_for(entries: list[Entry]) -> list[tuple[str, str]]:
    answers = [answer for *_, answer in entries]
    overruns = {answer.id for answer in answers if isinstance(answer, Outcome) and answer.over}
    is_refused = any(isinstance(answer, Verdict) and answer.reason in ("exhausted", "in_flight") for answer in answers)
    return [("budget_refused", "service")] * is_refused + [("budget_overrun", str(UUID(int=one))) for one in overruns]


def check(told: Told, slots: int = 1) -> list[str]:
    calls = [Call(ord(client), operation, start, end, answer) for client, start, end, operation, answer in told.entries]
    escalations = called_for(told.entries) if told.escalations is None else told.escalations
    program = Program(0, Config(LIMIT, 0), False, (), (), slots)
    return list(faults(History(program, with_busy_rows(calls), told.ledger, escalations, [])))


TWO_HOLDS = {1: held(6000, 10), 2: held(3000, 20)}
SETTLED = {1: was_hold("actual", 6000)}
RESERVED: Entry = ("a", 0, 30, Reserve(1, 6000), granted(0, 1, at=10))
LAPSED: Entry = ("a", 0, 30, Reserve(1, 6000, ttl=5), granted(0, 1, at=10, ttl=5))

SOUND = {
    "nothing": Told([], {}),
    "two decisions at once": Told(
        [RESERVED, ("b", 0, 30, ReserveAdvisory(2, 3000), granted(6000, 2, at=20))], TWO_HOLDS
    ),
    "of two decisions at once only one fits": Told(
        [RESERVED, ("b", 0, 30, Reserve(2, 5000), refused(6000, "in_flight", 10 + HOUR))], {1: held(6000, 10)}
    ),
    "a settle and a cancel at once": Told(
        [
            RESERVED,
            ("b", 40, 90, Settle(1, 6000), settled(1, 6000, 6000, late=True)),
            ("c", 40, 90, Cancel(1), cancelled(1, 6000)),
        ],
        SETTLED,
    ),
    "an advisory decision has read before a record came": Told(
        [
            ("a", 0, 90, ReserveAdvisory(1, 6000), granted(0, 1, at=10)),
            ("b", 20, 50, Record(2, 5000, "service"), settled(2, None, 5000)),
            ("c", 60, 80, Check(None, 0), refused(5000)._replace(can_proceed=True, reason="granted", retry_at=None)),
        ],
        {1: held(6000, 10), 2: spent(5000)},
    ),
    "a settle has read before a record came, and says nothing of it": Told(
        [
            RESERVED,
            ("b", 40, 90, Settle(1, 7000), settled(1, 6000, 7000)),
            ("c", 50, 60, Insert(2, 5000), (2,)),
        ],
        {1: was_hold("actual", 7000), 2: spent(5000)},
    ),
    "a decision reads the limits, and then waits no more for them": Told(
        [
            ("a", 0, 90, Reserve(1, 6000), granted(0, 1, at=10)),
            ("b", 20, 50, SetLimits(None, 4000), (4000, 0)),
            ("c", 60, 70, Freeze(None, "why"), (True, "why")),
        ],
        {1: held(6000, 10)},
    ),
    "a hold that lapsed counts nothing": Told(
        [LAPSED, ("b", 40, 60, Reserve(2, 9000), granted(0, 2, at=50))], {1: held(6000, 10, ttl=5), 2: held(9000, 50)}
    ),
    "two sweeps share what has lapsed": Told(
        [
            LAPSED,
            ("a", 31, 39, Reserve(2, 500, ttl=5), granted(0, 2, at=33, ttl=5)),
            ("b", 50, 90, Expire(), (1, 6000)),
            ("c", 50, 90, Expire(), (1, 500)),
        ],
        {1: was_hold("expired", 0), 2: was_hold("expired", 0)},
    ),
    "a sweep leaves out what another is at": Told(
        [LAPSED, ("b", 40, 90, Expire(), (0, 0)), ("c", 40, 90, Cancel(1), cancelled(1, 6000, late=True))],
        {1: was_hold("cancelled", 0)},
    ),
    "an id again after its row was deleted": Told(
        [RESERVED, ("b", 40, 50, Delete(1), (1,)), ("a", 60, 90, Reserve(1, 6000), granted(0, 1, at=70))],
        {1: held(6000, 70)},
    ),
}

WRONG = {
    "overshoot: two at once are granted what is there for one": Told(
        [RESERVED, ("b", 0, 30, ReserveAdvisory(2, 6000), granted(0, 2, at=20))], {1: held(6000, 10), 2: held(6000, 20)}
    ),
    "overshoot: granted, with the right total": Told(
        [RESERVED, ("b", 0, 30, Reserve(2, 5000), granted(6000, 2, at=20))], {1: held(6000, 10), 2: held(5000, 20)}
    ),
    "refused though there is room: a cancel that was over is not seen": Told(
        [
            RESERVED,
            ("a", 40, 50, Cancel(1), cancelled(1, 6000)),
            ("b", 60, 90, Reserve(2, 5000), refused(6000, "in_flight", 10 + HOUR)),
        ],
        {1: was_hold("cancelled", 0)},
    ),
    "refused in what just fits": Told(
        [RESERVED, ("b", 40, 60, Reserve(2, 4000), refused(6000, "in_flight", 10 + HOUR))], {1: held(6000, 10)}
    ),
    "the wrong reason": Told([RESERVED, ("b", 40, 60, Reserve(2, 5000), refused(6000))], {1: held(6000, 10)}),
    "the wrong time to try again": Told(
        [RESERVED, ("b", 40, 60, Reserve(2, 5000), refused(6000, "in_flight"))], {1: held(6000, 10)}
    ),
    "order inverted: the later one has decided first": Told(
        [
            ("a", 0, 30, Reserve(1, 6000), granted(3000, 1, at=10)),
            ("b", 40, 60, Reserve(2, 3000), granted(0, 2, at=50)),
        ],
        {1: held(6000, 10), 2: held(3000, 50)},
    ),
    "order inverted: two at once, by their clocks": Told(
        [
            ("a", 0, 30, Reserve(1, 6000), granted(0, 1, at=20)),
            ("b", 0, 30, Reserve(2, 3000), granted(6000, 2, at=10)),
        ],
        {1: held(6000, 20), 2: held(3000, 10)},
    ),
    "no order: each counts the other": Told(
        [
            ("a", 0, 30, Reserve(1, 3000), granted(3000, 1, at=10)),
            ("b", 0, 30, Reserve(2, 3000), granted(3000, 2, at=20)),
        ],
        {1: held(3000, 10), 2: held(3000, 20)},
    ),
    "an advisory decision reads before the decision before it": Told(
        [
            ("a", 0, 90, ReserveAdvisory(1, 3000), granted(0, 1, at=50)),
            ("b", 0, 40, ReserveAdvisory(2, 3000), granted(0, 2, at=10)),
        ],
        {1: held(3000, 50), 2: held(3000, 10)},
    ),
    "a settle is lost": Told([RESERVED, ("a", 40, 50, Settle(1, 6000), settled(1, 6000, 6000))], {1: held(6000, 10)}),
    "a settle is lost in a cancel": Told(
        [
            RESERVED,
            ("b", 40, 90, Settle(1, 6000), settled(1, 6000, 6000)),
            ("c", 40, 90, Cancel(1), cancelled(1, 6000)),
        ],
        {1: was_hold("cancelled", 0)},
    ),
    "a settled hold can be cancelled": Told(
        [
            RESERVED,
            ("a", 40, 50, Settle(1, 6000), settled(1, 6000, 6000)),
            ("b", 60, 90, Cancel(1), cancelled(1, 6000)),
        ],
        SETTLED,
    ),
    "settled twice at different costs": Told(
        [
            RESERVED,
            ("b", 40, 90, Settle(1, 6000), settled(1, 6000, 6000)),
            ("c", 40, 90, Settle(1, 5000), settled(1, 6000, 5000)),
        ],
        SETTLED,
    ),
    "late though it was not": Told(
        [RESERVED, ("a", 40, 50, Settle(1, 6000), settled(1, 6000, 6000, late=True))], SETTLED
    ),
    "not late though it was": Told(
        [LAPSED, ("a", 40, 50, Settle(1, 6000), settled(1, 6000, 6000))], {1: was_hold("actual", 6000)}
    ),
    "above the limit, and not told so": Told(
        [RESERVED, ("a", 40, 50, Settle(1, 10_001), settled(1, 6000, 10_001))], {1: was_hold("actual", 10_001)}
    ),
    "a record is lost": Told([("a", 0, 9, Record(1, 500, "service"), settled(1, None, 500))], {}),
    "a record is booked twice": Told(
        [("a", 0, 9, Record(None, 500, "service"), settled(1, None, 500))], {1: spent(500), 2: spent(500)}
    ),
    "an id is charged twice": Told(
        [RESERVED, ("b", 40, 60, Reserve(1, 6000), granted(6000, 1, at=50, limit=LIMIT))], {1: held(6000, 50)}
    ),
    "an id is taken with other arguments": Told(
        [RESERVED, ("b", 40, 60, Reserve(1, 5000), replayed(6000, 1, at=10))], {1: held(6000, 10)}
    ),
    "a hold that has ended is granted again": Told(
        [
            RESERVED,
            ("a", 40, 50, Settle(1, 6000), settled(1, 6000, 6000)),
            ("b", 60, 90, Reserve(1, 6000), replayed(6000, 1, at=10)),
        ],
        SETTLED,
    ),
    "an open hold is said to have ended": Told(
        [RESERVED, ("b", 60, 90, Reserve(1, 6000), ended(6000))], {1: held(6000, 10)}
    ),
    "a hold that lapsed still counts": Told(
        [LAPSED, ("b", 40, 60, Reserve(2, 3000), granted(6000, 2, at=50))],
        {1: held(6000, 10, ttl=5), 2: held(3000, 50)},
    ),
    "a hold that lapsed while another waited for it still counts": Told(
        [
            ("a", 0, 30, Reserve(1, 6000, ttl=1), granted(0, 1, at=10, ttl=1)),
            ("b", 0, 60, Reserve(3, 500), granted(0, 3, at=20)),
            ("c", 0, 60, Reserve(2, 3000), granted(6500, 2, at=50)),
        ],
        {1: held(6000, 10, ttl=1), 2: held(3000, 50), 3: held(500, 20)},
    ),
    "an open hold is swept away": Told([RESERVED, ("b", 40, 60, Expire(), (1, 6000))], {1: was_hold("expired", 0)}),
    "a sweep leaves out what nobody is at": Told([LAPSED, ("b", 40, 60, Expire(), (0, 0))], {1: held(6000, 10, ttl=5)}),
    "a hold is swept away twice": Told(
        [LAPSED, ("b", 40, 90, Expire(), (1, 6000)), ("c", 40, 90, Expire(), (1, 6000))], {1: was_hold("expired", 0)}
    ),
    "an extension makes room that is not there": Told(
        [RESERVED, ("a", 40, 60, Extend(1, 10_001), granted(6000, 1, at=50))], {1: held(10_001, 50)}
    ),
    "an extension brings a hold back that was cancelled": Told(
        [
            RESERVED,
            ("a", 40, 50, Cancel(1), cancelled(1, 6000)),
            ("b", 60, 90, Extend(1, None, HOUR), granted(0, 1, at=70)),
        ],
        {1: held(6000, 70)},
    ),
    "granted after a freeze": Told(
        [("b", 0, 20, Freeze(None, "why"), (True, "why")), ("a", 30, 60, Reserve(1, 6000), granted(0, 1, at=40))],
        {1: held(6000, 40)},
    ),
    "refused after the freeze was over": Told(
        [
            ("b", 0, 20, Freeze(None, "why"), (True, "why")),
            ("b", 30, 40, Unfreeze(), (False, None)),
            ("a", 50, 60, Reserve(1, 6000), refused(0, "frozen", None)),
        ],
        {},
        [("budget_refused", "service")],
    ),
    "a freeze is lost in another": Told(
        [("a", 0, 20, Freeze(None, "one"), (True, "one")), ("b", 0, 20, Freeze(None, "two"), (True, "two"))], {}
    ),
    "granted by limits of before": Told(
        [("b", 0, 20, SetLimits(None, 5000), (5000, 0)), ("a", 30, 60, Reserve(1, 6000), granted(0, 1, at=40))],
        {1: held(6000, 40)},
    ),
    "a change of limits is lost in another": Told(
        [
            ("a", 0, 20, SetLimits(None, 5000), (5000, 0)),
            ("b", 0, 20, SetLimits(None, None, 4000), (10_000, 4000)),
            ("c", 30, 60, Reserve(1, 6000), granted(0, 1, at=40)),
        ],
        {1: held(6000, 40)},
    ),
    "an unknown id is settled": Told([("a", 0, 20, Settle(1, 6000), settled(1, 6000, 6000))], SETTLED),
    "a known id is said to be unknown": Told([RESERVED, ("a", 40, 50, Settle(1, 6000), "PB002")], {1: held(6000, 10)}),
    "a deleted row is changed": Told(
        [RESERVED, ("b", 40, 50, Delete(1), (1,)), ("c", 60, 70, Update(1, 5000), (1,))], {1: was_hold("actual", 5000)}
    ),
    "an answer that is not documented": Told([("a", 0, 20, Reserve(1, 6000), "40001")], {}),
    "a row that nobody wrote": Told([RESERVED], {1: held(6000, 10), 2: spent(1)}),
    "a refusal without an escalation": Told([("a", 0, 20, Reserve(1, 10_001), refused(0, "too_large", None))], {}, []),
    "an escalation too many": Told([RESERVED], {1: held(6000, 10)}, [("budget_overrun", str(UUID(int=1)))]),
    "an escalation twice": Told([], {}, [("budget_refused", "service")] * 2),
}


MISSED_BY_A_DECISION = Told(
    [
        ("a", 0, 90, Reserve(1, 6000), granted(0, 1, at=10)),
        ("b", 20, 50, Record(2, 5000, "service"), settled(2, None, 5000)),
        ("c", 60, 80, Check(None, 0), refused(5000)._replace(can_proceed=True, reason="granted", retry_at=None)),
    ],
    {1: held(6000, 10), 2: spent(5000)},
)
by_series(core=WRONG, budgets=SOUND)["a table decision misses a record that came while it held its lock"] = (
    MISSED_BY_A_DECISION
)

# Where the room is spread over slots, decisions that fit go on side by side.
SIDE_BY_SIDE = {
    "an advisory decision reads before the decision before it",
    "order inverted: two at once, by their clocks",
    "a hold that lapsed while another waited for it still counts",
}
SOUND_WHERE_SPREAD = {
    **SOUND,
    **{name: told for name, told in WRONG.items() if name in SIDE_BY_SIDE},
    "an extension and a decision that fit do not count each other": Told(
        [
            RESERVED,
            ("a", 40, 90, Extend(1, 7000, HOUR), granted(6000, 1, at=50)),
            ("b", 40, 90, ReserveAdvisory(2, 3000), granted(6000, 2, at=50)),
        ],
        {1: held(7000, 50), 2: held(3000, 50)},
    ),
    "what an extension would free by itself is not for it, though another has extended the hold meanwhile": Told(
        [
            RESERVED,
            ("b", 0, 30, Reserve(2, 3000), granted(6000, 2, at=20)),
            ("a", 40, 60, Extend(1), granted(9000, 1, at=10)),
            ("b", 40, 90, Extend(1, 8000), refused(9500, "in_flight", 20 + HOUR)),
            ("c", 61, 70, Insert(3, 500), (3,)),
        ],
        {**TWO_HOLDS, 3: spent(500)},
    ),
}
WRONG_WHERE_SPREAD = {
    **{name: told for name, told in WRONG.items() if name not in SIDE_BY_SIDE},
    "two decisions take the same room": Told(
        [
            ("a", 0, 30, Reserve(1, 6000), granted(0, 1, at=10)),
            ("b", 0, 30, Reserve(2, 6000), granted(0, 2, at=10)),
        ],
        {1: held(6000, 10), 2: held(6000, 10)},
    ),
    "an extension takes the room of a decision": Told(
        [
            RESERVED,
            ("a", 40, 90, Extend(1, 7000, HOUR), granted(6000, 1, at=50)),
            ("b", 40, 90, ReserveAdvisory(2, 4000), granted(6000, 2, at=50)),
        ],
        {1: held(7000, 50), 2: held(4000, 50)},
    ),
    "a refusal counts what nobody had committed": Told(
        [RESERVED, ("b", 40, 90, Reserve(2, 4000), refused(6001))], {1: held(6000, 10)}
    ),
}


@pytest.mark.parametrize("told", SOUND.values(), ids=SOUND)
def test_what_may_have_been_done_one_by_one_is_taken(told: Told) -> None:
    assert check(told) == []


@pytest.mark.parametrize("told", WRONG.values(), ids=WRONG)
def test_what_cannot_is_told(told: Told) -> None:
    assert check(told)


@pytest.mark.parametrize("told", SOUND_WHERE_SPREAD.values(), ids=SOUND_WHERE_SPREAD)
def test_what_may_have_been_done_in_slots_is_taken(told: Told) -> None:
    assert check(told, slots=4) == []


@pytest.mark.parametrize("told", WRONG_WHERE_SPREAD.values(), ids=WRONG_WHERE_SPREAD)
def test_what_no_slots_allow_is_told(told: Told) -> None:
    assert check(told, slots=4)
