"""The clock passes midnight or is put forward or back while clients reserve: each hold is of one day, no day overfull.

What a single call makes of midnight is in tests/concurrency/test_midnight.py, and which days there are in tests/model.
"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from uuid import UUID

import pytest

from tests.clock import Clock, utc
from tests.concurrency.calls import LIMIT, VARIANTS, cancel, extend, reserve, set_limits, settle
from tests.conftest import Connect
from tests.model.days import Window, window
from tests.pgtap import is_empty
from tests.race import Connection, Crowd, Job, until
from tests.rows import value

pytestmark = pytest.mark.proof

CLIENTS = 6
MINUTE = timedelta(minutes=1)

TURNS = {
    "midnight": ("UTC", "2025-10-04T00:00"),
    "clocks go forward": ("America/New_York", "2025-03-09T07:00"),
    "the midnight after that": ("America/New_York", "2025-03-10T04:00"),
    "clocks go back": ("America/New_York", "2025-11-02T06:00"),
    "the midnight after that, too": ("America/New_York", "2025-11-03T05:00"),
    "a midnight that is left out": ("Africa/Cairo", "2025-04-24T22:00"),
    "a midnight that comes twice, the first time": ("America/Havana", "2025-11-02T04:00"),
    "a midnight that comes twice, the second time": ("America/Havana", "2025-11-02T05:00"),
}


def forward(dice: random.Random) -> list[int]:
    """Minutes from a turn, one after the other."""
    return list(range(-20, 21))


def to_and_fro(dice: random.Random) -> list[int]:
    """As of a clock that is put right again and again, within the day and across the turn."""
    steps = accumulate(dice.choice((-25, -5, -1, 1, 5, 25)) for _ in range(200))
    return [-30, *[minute for minute in steps if -60 <= minute <= 60][:40], 30]


class Client:
    """Reserves, extends, settles and cancels for as long as the clock moves, and spends no more than it holds."""

    def __init__(self, number: int, stop: threading.Event, zone: str) -> None:
        self._dice, self._stop, self._zone = random.Random(number), stop, zone  # noqa: S311
        self._open: dict[UUID, tuple[Decimal, datetime]] = {}
        self.granted: dict[UUID, datetime] = {}
        """The end of the day that each hold was promised to be of."""
        self.refused = self.calls = 0

    def __call__(self, connection: Connection) -> None:
        while not self._stop.is_set():
            if not self._open or self._dice.random() < 0.5:
                self._reserve(connection)
            else:
                self._go_on(connection, self._dice.choice(list(self._open)))
            self.calls += 1

    def _reserve(self, connection: Connection) -> None:
        cost = Decimal(self._dice.randint(1, 15))
        verdict = reserve(self._dice.choice(VARIANTS), cost, p_ttl="24 hours")(connection)
        assert verdict.can_proceed == (verdict.current_total + cost <= LIMIT), verdict
        if verdict.can_proceed:
            self._open[verdict.reservation_id] = cost, verdict.resets_at
            self.granted[verdict.reservation_id] = verdict.resets_at
        else:
            self.refused += 1

    def _go_on(self, connection: Connection, hold: UUID) -> None:
        cost, resets_at = self._open[hold]
        step = self._dice.choice(("settle", "cancel", "extend"))
        if step == "extend":
            verdict = extend(hold, cost + 1)(connection)
            assert verdict.resets_at == resets_at
            assert verdict.can_proceed == (verdict.current_total + 1 <= LIMIT), verdict
            if verdict.can_proceed:
                self._open[hold] = cost + 1, resets_at
            return
        outcome = (settle(hold, cost / 10) if step == "settle" else cancel(hold))(connection)
        assert (outcome.late, outcome.over_limit) == (False, False)
        del self._open[hold]


@pytest.mark.parametrize("path", [forward, to_and_fro])
@pytest.mark.parametrize(("zone", "turn"), TURNS.values(), ids=TURNS)
def test_each_hold_is_of_one_day_and_no_day_is_too_full(
    db: Connection, connect: Connect, zone: str, turn: str, path: Callable[[random.Random], list[int]]
) -> None:
    set_limits(timezone=zone)(db)
    instants = [utc(turn) + minute * MINUTE for minute in path(random.Random(turn))]  # noqa: S311
    clock, stop = Clock(db, instants[0]), threading.Event()
    clients = [Client(number, stop, zone) for number in range(CLIENTS)]

    def calls() -> int:
        return sum(client.calls for client in clients)

    def move(_: Connection) -> None:
        try:
            for instant in instants:
                clock.set(instant)
                enough = calls() + CLIENTS
                until(lambda: calls() >= enough, "the clients to call")  # noqa: B023 - it is called here
        finally:
            stop.set()

    jobs: list[Job[None]] = [*clients, move]
    with Crowd(connect() for _ in jobs) as crowd:
        crowd.race(jobs)

    spent: dict[Window, Decimal] = defaultdict(Decimal)
    for hold, created_at, cost in db.execute("SELECT id, created_at, cost FROM public.cost_tracking"):
        day = window(created_at, zone)
        spent[day] += cost
        assert [day.ends_at] == [client.granted[hold] for client in clients if hold in client.granted]
    assert set(spent) == {window(instant, zone) for instant in instants}
    assert max(spent.values()) <= LIMIT
    assert sum(client.refused for client in clients) > 0
    for instant in instants:
        clock.set(instant)
        assert value(db, "SELECT settled + held FROM budget.status") == spent[window(instant, zone)]
    is_empty(db, "SELECT * FROM budget.invariants")


@pytest.fixture
def clock(db: Connection) -> Clock:
    return Clock(db, utc("2025-10-03T12:00"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_clock_that_is_put_back_revives_what_had_lapsed_and_grants_no_more(
    db: Connection, clock: Clock, variant: str
) -> None:
    """Both holds count then, the day is above its limit, and nobody gets more until one of them has ended."""
    first = reserve(variant, 60, p_ttl="1 hour")(db)
    clock.advance(hours=1)
    second = reserve(variant, 60, p_ttl="1 hour")(db)
    assert second.can_proceed
    clock.advance(minutes=-30)
    refused = reserve(variant, 1)(db)
    assert (refused.reason, refused.current_total, refused.remaining) == ("in_flight", 120, -20)
    assert refused.retry_at == first.expires_at
    assert extend(second.reservation_id, 61)(db).can_proceed is False
    assert extend(second.reservation_id, 59)(db).can_proceed
    assert settle(first.reservation_id, 60)(db).late is False
    assert cancel(second.reservation_id)(db).status == "cancelled"
    assert reserve(variant, 40)(db).can_proceed
    is_empty(db, "SELECT * FROM budget.invariants")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_clock_that_is_put_back_across_midnight_leaves_each_hold_in_its_day(
    db: Connection, clock: Clock, variant: str
) -> None:
    today = reserve(variant, 60)(db)
    clock.advance(hours=13)
    tomorrow = reserve(variant, 90)(db)
    assert tomorrow.current_total == 0
    clock.advance(hours=-12)
    assert reserve(variant, 1)(db).current_total == 0  # today's has lapsed by now; tomorrow's is not of today
    assert settle(tomorrow.reservation_id, 80)(db).late is False
    assert settle(today.reservation_id, 50)(db).late is True
    assert reserve(variant, 1)(db).current_total == 51
    clock.advance(hours=12)
    assert reserve(variant, 1)(db).current_total == 80
    is_empty(db, "SELECT * FROM budget.invariants")
