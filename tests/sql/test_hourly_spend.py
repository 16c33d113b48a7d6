"""budget.hourly_spend: the day in force, hour by hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.clock import NOON, Clock, utc
from tests.pgtap import has_view
from tests.rows import Connection, as_owner, call, configure, reserve, rows, spend

HOURS = "SELECT * FROM budget.hourly_spend ORDER BY hour"


def spent(connection: Connection) -> dict[int, tuple[Any, ...]]:
    """What was settled and held, and the calls, by the number of the hour, without the hours that are empty."""
    return {
        number: (row.settled, row.held, row.calls) for number, row in enumerate(rows(connection, HOURS)) if row.calls
    }


def test_every_hour_is_a_row_of_its_own(reader: Connection, clock: Clock) -> None:
    has_view(reader, "budget.hourly_spend")
    hours = rows(reader, HOURS)
    assert [row.hour for row in hours] == [utc("2025-10-03") + timedelta(hours=n) for n in range(24)]
    assert {row[1:] for row in hours} == {(0, 0, 0)}


def test_spend_stands_in_the_hour_in_which_its_call_began(reader: Connection, clock: Clock) -> None:
    for at, cost in ((NOON - timedelta(microseconds=1), 1), (NOON, 2), (NOON.replace(hour=23, minute=59), 4)):
        spend(reader, cost, at=at)
    for day in (2, 4):
        spend(reader, 100, at=NOON.replace(day=day))
    with as_owner(reader):
        hold = reserve(reader, 8)
        clock.advance(hours=2)
        reserve(reader, 16)
        call(reader, "settle", hold, 32)
    assert spent(reader) == {11: (1, 0, 1), 12: (34, 0, 2), 14: (0, 16, 1), 23: (4, 0, 1)}


@pytest.mark.parametrize(("on_expiry", "kept"), [("release", {}), ("keep", {12: (3, 0, 1)})])
def test_the_hours_are_what_the_day_counts(reader: Connection, clock: Clock, on_expiry: str, kept: object) -> None:
    configure(reader, {"emergency_kill": 100, "on_expiry": on_expiry})
    with as_owner(reader):
        reserve(reader, 3, p_ttl="1 minute")
        clock.advance(minutes=1)
    assert spent(reader) == kept
    with as_owner(reader):
        reserve(reader, 5)
        call(reader, "cancel", reserve(reader, 7))
    spend(reader, 11)
    sums = "SELECT sum(settled) AS settled, sum(held) AS held FROM budget.hourly_spend"
    assert rows(reader, sums) == rows(reader, "SELECT settled, held FROM budget.status")


@pytest.mark.parametrize(
    ("zone", "today", "last"),
    [
        ("Europe/Berlin", "2025-10-26 12:00", (25, "2025-10-26 22:00")),
        ("America/New_York", "2025-03-09 12:00", (23, "2025-03-10 03:00")),
        ("Australia/Lord_Howe", "2025-10-05 00:00", (24, "2025-10-05 12:30")),  # of half an hour, the clocks go forward
    ],
)
def test_a_day_has_the_hours_that_it_has(
    reader: Connection, clock: Clock, zone: str, today: str, last: tuple[int, str]
) -> None:
    configure(reader, {"emergency_kill": 100, "timezone": zone})
    clock.set(today)
    found = rows(reader, HOURS)
    assert (len(found), found[-1].hour) == (last[0], utc(last[1]))


def test_an_hour_cut_short_by_the_days_end_counts_no_other_day(reader: Connection, clock: Clock) -> None:
    configure(reader, {"emergency_kill": 100, "timezone": "Australia/Lord_Howe"})
    clock.set("2025-10-05")
    spend(reader, 1, at=utc("2025-10-05 12:59"))
    spend(reader, 2, at=utc("2025-10-05 13:00"))
    assert spent(reader) == {23: (1, 0, 1)}
