"""Days under a limit of 100, at noon UTC, and the verdict on one more estimate: for reserve and check alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tests.clock import NOON, Clock, utc
from tests.rows import Connection, reserve, spend

MIDNIGHT = utc("2025-10-04")
LIMIT = Decimal(100)
TICK = Decimal("0.000000000001")
"""The smallest amount there is."""

Holds = tuple[tuple[Decimal | int, int], ...]


class Day(NamedTuple):
    """What the day has already, what is asked for, and the answer."""

    what: str
    estimate: Decimal | int
    reason: str
    spent: Decimal | int = 0
    holds: Holds = ()
    """Estimate and minutes to live of each, in the order in which they were made."""
    retry_at: datetime | None = None

    @property
    def current_total(self) -> Decimal:
        return Decimal(self.spent) + sum(Decimal(cost) for cost, _ in self.holds)

    def arrange(self, connection: Connection, clock: Clock) -> None:
        """Bring the day about."""
        clock.set(NOON)
        if self.spent:
            spend(connection, self.spent)
        for cost, minutes in self.holds:
            reserve(connection, cost, p_ttl=timedelta(minutes=minutes))


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


DAYS = [
    Day("an empty day has room for the limit itself", 100, "granted"),
    Day("nothing is always granted within the limit", 0, "granted", spent=100),
    Day("what fits exactly fits", 10, "granted", spent=70, holds=((20, 60),)),
    Day("one tick more does not", 10 + TICK, "in_flight", spent=70, holds=((20, 60),), retry_at=at(60)),
    Day("the hand-over's race: at 95 another 10 is refused", 10, "exhausted", spent=95, retry_at=MIDNIGHT),
    Day("the hand-over's race: at 90 another 10 is granted", 10, "granted", spent=90),
    Day("an overspent day refuses even nothing", 0, "exhausted", spent=120, retry_at=MIDNIGHT),
    Day("more than the limit never fits", 100 + TICK, "too_large"),
    Day("more than the limit never fits, however full the day", 101, "too_large", spent=100),
    Day("one hold is in the way", 60, "in_flight", holds=((50, 30),), retry_at=at(30)),
    Day("the first of two lapses is enough", 20, "in_flight", 50, ((20, 10), (25, 20)), at(10)),
    Day("both must lapse", 40, "in_flight", 50, ((20, 10), (25, 20)), at(20)),
    Day("lapses are taken in the order of time", 40, "in_flight", 50, ((25, 20), (20, 10)), at(20)),
    Day("holds that lapse together free their sum", 15, "in_flight", 80, ((10, 10), (10, 10)), at(10)),
    Day("all that is held is just enough", 40, "in_flight", 60, ((30, 10), (10, 45)), at(45)),
    Day("all that is held is not enough", 40 + TICK, "exhausted", 60, ((30, 10), (10, 45)), MIDNIGHT),
    Day("a hold that lapses after midnight waits no longer than that", 60, "in_flight", 0, ((50, 721),), MIDNIGHT),
    Day("the last lapse before midnight", 60, "in_flight", 0, ((50, 719),), at(719)),
]
