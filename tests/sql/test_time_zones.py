"""Days: whose they are, where they begin and end, and that no session can move them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from tests.clock import Clock, utc
from tests.pgtap import is_empty
from tests.rows import Connection, as_owner, call, configure, expect, ledger, one, rows, spend

TICK = timedelta(microseconds=1)


def set_zone(connection: Connection, zone: str) -> None:
    configure(connection, {"emergency_kill": 1000, "timezone": zone})


def status(connection: Connection) -> Any:
    with as_owner(connection):
        return one(connection, "SELECT * FROM budget.status")


# --------------------------------------------------------------------------------------------- the caller's session

SESSIONS = [
    "UTC",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Kiritimati",  # 14 hours ahead
    "Pacific/Niue",  # 11 hours behind
    "Australia/Lord_Howe",
    "EST5EDT",
    "14",
    "-11.5",
    # POSIX strings, some of which give another meaning to the name of the budget's own zone.
    "XYZ-13:45",
    "UTC-14",
    "UTC+12",
    "GMT+12",
    "GMT-14",
    "<UTC>+12<GMT>-14",
    "<Europe/Berlin>-14",
]
ZONES = {
    "UTC": (utc("2025-10-03 00:00"), utc("2025-10-04 00:00")),
    "GMT": (utc("2025-10-03 00:00"), utc("2025-10-04 00:00")),
    "Europe/Berlin": (utc("2025-10-02 22:00"), utc("2025-10-03 22:00")),
}


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("zone", ZONES)
def test_the_callers_time_zone_changes_nothing(caller: Connection, clock: Clock, zone: str, session: str) -> None:
    starts_at, ends_at = ZONES[zone]
    set_zone(caller, zone)
    for cost, at in ((1, starts_at - TICK), (2, starts_at), (4, ends_at - TICK), (8, ends_at)):
        spend(caller, cost, at=at)
    caller.execute("SELECT set_config('TimeZone', %s, true)", [session])

    for function in ("check", "reserve", "reserve_advisory"):
        expect(call(caller, function, 0, "test"), current_total=6, resets_at=ends_at, reason="granted")
    hold = call(caller, "reserve", 16, "test", p_ttl="1 day").reservation_id
    expect(ledger(caller, hold), created_at=clock.now, expires_at=clock.now + timedelta(hours=24))
    assert ledger(caller, hold).metadata["reserved_at"] == "2025-10-03T12:00:00.000000Z"
    expect(status(caller), day=date(2025, 10, 3), settled=6, held=16, resets_at=ends_at)
    call(caller, "settle", hold, 32)
    assert ledger(caller, hold).metadata["settled_at"] == "2025-10-03T12:00:00.000000Z"
    expect(call(caller, "record", 64, "test"), over_limit=False)
    expect(call(caller, "check", 0, "test"), current_total=2 + 4 + 32 + 64)


@pytest.mark.parametrize("abbreviations", ["Australia", "India"])
def test_a_session_cannot_give_the_zone_another_meaning(caller: Connection, clock: Clock, abbreviations: str) -> None:
    set_zone(caller, "MST")
    before = call(caller, "check", 0, "test")
    caller.execute("SELECT set_config('timezone_abbreviations', %s, true)", [abbreviations])
    assert call(caller, "check", 0, "test") == before


# ------------------------------------------------------------------------------------------------- days of all kinds


class Day(NamedTuple):
    zone: str
    day: str
    starts_at: str
    ends_at: str
    hours: float = 24
    next_day: str | None = None


DAYS = [
    # Ends of months and years.
    Day("UTC", "2025-02-28", "2025-02-28 00:00", "2025-03-01 00:00"),
    Day("UTC", "2024-02-28", "2024-02-28 00:00", "2024-02-29 00:00"),
    Day("UTC", "2024-02-29", "2024-02-29 00:00", "2024-03-01 00:00"),
    Day("UTC", "2025-12-31", "2025-12-31 00:00", "2026-01-01 00:00"),
    Day("America/Los_Angeles", "2025-12-31", "2025-12-31 08:00", "2026-01-01 08:00"),
    Day("Pacific/Kiritimati", "2026-01-01", "2025-12-31 10:00", "2026-01-01 10:00"),
    Day("Etc/GMT+12", "2025-12-31", "2025-12-31 12:00", "2026-01-01 12:00"),
    Day("Asia/Kathmandu", "2025-10-03", "2025-10-02 18:15", "2025-10-03 18:15"),
    # Clocks go forward and back within a day.
    Day("Europe/Berlin", "2025-03-30", "2025-03-29 23:00", "2025-03-30 22:00", 23),
    Day("Europe/Berlin", "2025-10-26", "2025-10-25 22:00", "2025-10-26 23:00", 25),
    Day("America/New_York", "2025-03-09", "2025-03-09 05:00", "2025-03-10 04:00", 23),
    Day("America/New_York", "2025-11-02", "2025-11-02 04:00", "2025-11-03 05:00", 25),
    Day("Australia/Lord_Howe", "2025-04-06", "2025-04-05 13:00", "2025-04-06 13:30", 24.5),
    # Days without a midnight: they begin at one o'clock.
    Day("America/Havana", "2025-03-09", "2025-03-09 05:00", "2025-03-10 04:00", 23),
    Day("America/Sao_Paulo", "2018-11-04", "2018-11-04 03:00", "2018-11-05 02:00", 23),
    Day("Africa/Cairo", "2024-04-26", "2024-04-25 22:00", "2024-04-26 21:00", 23),
    Day("Asia/Beirut", "2025-03-30", "2025-03-29 22:00", "2025-03-30 21:00", 23),
    # Days with two midnights: they begin at the first.
    Day("America/Havana", "2025-11-02", "2025-11-02 04:00", "2025-11-03 05:00", 25),
    Day("Atlantic/Azores", "2025-10-26", "2025-10-26 00:00", "2025-10-27 01:00", 25),
    # Days whose last hour comes twice.
    Day("America/Sao_Paulo", "2018-02-17", "2018-02-17 02:00", "2018-02-18 03:00", 25),
    Day("Africa/Cairo", "2024-10-31", "2024-10-30 21:00", "2024-10-31 22:00", 25),
    Day("Asia/Beirut", "2025-10-25", "2025-10-24 21:00", "2025-10-25 22:00", 25),
    # One minute after midnight the clocks go back to the eve: the new day has begun, and stays.
    Day("America/St_Johns", "2006-10-28", "2006-10-28 02:30", "2006-10-29 02:30"),
    Day("America/St_Johns", "2006-10-29", "2006-10-29 02:30", "2006-10-30 03:30", 25),
    Day("America/St_Johns", "2006-04-02", "2006-04-02 03:30", "2006-04-03 02:30", 23),
    # A zone that left out the 30th.
    Day("Pacific/Apia", "2011-12-29", "2011-12-29 10:00", "2011-12-30 10:00", next_day="2011-12-31"),
    Day("Pacific/Apia", "2011-12-31", "2011-12-30 10:00", "2011-12-31 10:00"),
]


@pytest.mark.parametrize("case", DAYS, ids=lambda case: f"{case.zone} {case.day}")
def test_a_day_counts_from_its_first_instant_to_its_last(tx: Connection, clock: Clock, case: Day) -> None:
    day, starts_at, ends_at = date.fromisoformat(case.day), utc(case.starts_at), utc(case.ends_at)
    next_day = date.fromisoformat(case.next_day) if case.next_day else day + timedelta(days=1)
    assert ends_at - starts_at == timedelta(hours=case.hours)
    set_zone(tx, case.zone)
    for cost, at in ((1, starts_at - TICK), (2, starts_at), (4, ends_at - TICK), (8, ends_at)):
        spend(tx, cost, at=at)

    def seen(at: datetime) -> tuple[int, date, datetime]:
        clock.set(at)
        verdict, now = call(tx, "check", 0, "test"), status(tx)
        assert now.resets_at == verdict.resets_at
        assert now.settled == verdict.current_total
        return verdict.current_total, now.day, verdict.resets_at

    around = [timedelta(minutes=minutes) for minutes in range(0, 151, 30)]  # in these hours the clocks change
    for at in [*(starts_at + span for span in around), *(ends_at - TICK - span for span in around)]:
        assert seen(at) == (6, day, ends_at)
    assert seen(starts_at - TICK)[0] == 1
    assert seen(ends_at)[:2] == (8, next_day)
    assert [(row.day, row.settled) for row in rows(tx, "SELECT * FROM budget.daily_spend ORDER BY day")][1:] == [
        (day, 6),
        (next_day, 8),
    ]


def test_every_day_of_every_zone_begins_with_the_earliest_instant_of_its_date(tx: Connection) -> None:
    """The days around every change of clocks, against a search through all quarters of an hour."""
    is_empty(
        tx,
        """
        WITH days AS (
            SELECT z.name, d.at
              FROM pg_timezone_names AS z, generate_series(timestamp '2018-01-01', '2027-01-01', '1 day') AS d (at)
             WHERE z.name !~ '^(posix|right)/' AND z.name NOT IN ('localtime', 'posixrules')
        ), changes AS (
            SELECT DISTINCT d.name, d.at::date + n AS day
              FROM days AS d, generate_series(-1, 2) AS n
             WHERE (d.at AT TIME ZONE 'UTC' AT TIME ZONE d.name) - d.at
                <> ((d.at + interval '1 day') AT TIME ZONE 'UTC' AT TIME ZONE d.name) - (d.at + interval '1 day')
        )
        SELECT c.name, c.day, budget._day_start(c.day, c.name), s.earliest
          FROM changes AS c
          JOIN LATERAL (
              SELECT min(i) AS earliest
                FROM generate_series(
                         c.day::timestamp AT TIME ZONE 'UTC' - interval '15 hours',
                         c.day::timestamp AT TIME ZONE 'UTC' + interval '15 hours',
                         '15 minutes'
                     ) AS i
               WHERE (i AT TIME ZONE c.name)::date = c.day
          ) AS s ON true
         WHERE budget._day_start(c.day, c.name) IS DISTINCT FROM s.earliest
        """,
    )


# -------------------------------------------------------------------------------------------------- across midnight


@pytest.fixture
def before_midnight(caller: Connection, clock: Clock) -> UUID:
    """A hold of 10 that was made a minute before midnight in New York, on the day of 25 hours; it is past midnight."""
    configure(caller, {"emergency_kill": 100, "timezone": "America/New_York"})
    clock.set("2025-11-03 04:59")
    hold: UUID = call(caller, "reserve", 10, "test").reservation_id
    clock.advance(minutes=2)
    return hold


def test_a_hold_keeps_to_the_day_that_admitted_it(caller: Connection, clock: Clock, before_midnight: UUID) -> None:
    expect(call(caller, "check", 100, "test"), reason="granted", current_total=0)
    call(caller, "settle", before_midnight, 30)
    expect(call(caller, "check", 100, "test"), reason="granted", current_total=0)
    clock.advance(minutes=-2)
    expect(call(caller, "check", 71, "test"), reason="exhausted", current_total=30, retry_at=utc("2025-11-03 05:00"))


def test_another_zone_moves_the_days_and_not_the_rows(caller: Connection, clock: Clock, before_midnight: UUID) -> None:
    configure(caller, {"emergency_kill": 100, "timezone": "UTC"})
    expect(call(caller, "check", 0, "test"), current_total=10)  # in UTC both are the 3rd
    expect(ledger(caller, before_midnight), created_at=utc("2025-11-03 04:59"))
