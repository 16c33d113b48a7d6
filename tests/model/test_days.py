"""A day begins at the earliest instant whose local date is that day: in every zone that the limits may name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.model.days import DAY, MICROSECOND, UTC, offset, window

Connection = psycopg.Connection[Any]

SINCE, UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def near_changes(zone: str) -> Iterator[datetime]:
    """Instants about the beginnings of the days around each change of the zone's clocks."""
    days = (UNTIL - SINCE) // DAY
    offsets = [offset(SINCE + n * DAY, zone) for n in range(days + 1)]
    changes = [SINCE + n * DAY for n in range(days) if offsets[n] != offsets[n + 1]]
    for at in changes or [SINCE]:
        for day in range(-1, 4):
            begins = window(at + day * DAY, zone).starts_at
            yield from (begins, begins - MICROSECOND)


def disagreements(db: Connection, zone: str, instants: list[datetime]) -> Iterator[str]:
    rows = db.execute(
        "SELECT w.* FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS i (at, n),"
        " LATERAL budget._window(i.at, %s) AS w ORDER BY i.n",
        [instants, zone],
    ).fetchall()
    for at, (day, *bounds) in zip(instants, rows, strict=True):
        have = (day, *(bound.astimezone(UTC) for bound in bounds))
        if have != window(at, zone):
            yield f"{zone} at {at}: {[str(item) for item in have]}, not {[str(item) for item in window(at, zone)]}"


@pytest.mark.proof
def test_every_zone(db: Connection) -> None:
    zones = db.execute(
        """SELECT z.name FROM pg_timezone_names AS z
            WHERE (budget._parse_config(
                jsonb_build_object('emergency_kill', 1, 'timezone', z.name)::text
            )).error IS NULL"""
    ).fetchall()
    assert len(zones) > 300
    wrong = [next(disagreements(db, zone, list(near_changes(zone))), "") for (zone,) in zones]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("Pacific/Apia", "2011-12-30T10:00"),  # a day that never was
        ("America/St_Johns", "2010-11-07T02:31"),  # a minute past midnight, back to the day before
        ("Antarctica/Casey", "2010-03-04T15:00"),  # two hours past midnight, back to the day before
        ("America/Sao_Paulo", "2018-11-04T03:00"),  # midnight is skipped
        ("America/Sao_Paulo", "2018-02-18T02:00"),  # an hour before midnight comes twice
        ("America/Havana", "2025-11-02T05:00"),  # midnight comes twice
        ("Asia/Pyongyang", "2018-05-04T15:00"),  # half an hour before midnight is skipped
        ("Asia/Tehran", "2022-09-21T19:30"),
        ("Australia/Lord_Howe", "2025-04-05T15:00"),
    ],
)
def test_uncommon_days(db: Connection, zone: str, at: str) -> None:
    about = datetime.fromisoformat(at).replace(tzinfo=UTC)
    instants = [
        about + hour * timedelta(minutes=30) + tick for hour in range(-80, 80) for tick in (-MICROSECOND, DAY * 0)
    ]
    assert list(disagreements(db, zone, instants)) == []
