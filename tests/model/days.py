"""Which day an instant belongs to, told by zoneinfo alone.

A day begins at the earliest instant whose local date is that day, and ends where the next begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

UTC = timezone.utc
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


class Window(NamedTuple):
    day: date
    starts_at: datetime
    ends_at: datetime


def offset(at: datetime, zone: str) -> timedelta:
    """How far the zone's clocks are ahead of UTC."""
    ahead = at.astimezone(ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return ahead


def clock_changes(zone: str, since: datetime, until: datetime) -> Iterator[datetime]:
    """The instants of the span at which the zone's clocks are put forward or back."""
    while since < until:
        hour = min(since + HOUR, until)
        if offset(since, zone) != offset(hour, zone):
            before, after = since, hour
            while after - before > MICROSECOND:
                middle = before + (after - before) / 2
                if offset(middle, zone) == offset(since, zone):
                    before = middle
                else:
                    after = middle
            yield after
        since = hour


@cache
def day_start(day: date, zone: str) -> datetime:
    """The earliest instant whose local date is this day, or a later one: a zone may skip a day."""
    midnight = datetime.combine(day, time(), UTC)
    first, last = midnight - 2 * DAY, midnight + 3 * DAY
    turns = [first, *clock_changes(zone, first, last), last]
    for since, until in pairwise(turns):
        at = max(since, midnight - offset(since, zone))
        if at < until:
            return at
    raise AssertionError(f"{zone} never reaches {day}")


@cache
def window(at: datetime, zone: str) -> Window:
    """The day of an instant: starts_at <= at < ends_at."""
    day = at.astimezone(ZoneInfo(zone)).date() + DAY
    while day_start(day, zone) > at:
        day -= DAY
    return Window(day, day_start(day, zone), day_start(day + DAY, zone))
