"""budget.daily_spend: what each service has spent on each day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.clock import NOON, Clock, utc
from tests.pgtap import has_view
from tests.rows import Connection, as_owner, call, configure, expect, one, reserve, rows, spend

DAYS = "SELECT * FROM budget.daily_spend ORDER BY day, service_name"


def test_columns(reader: Connection, clock: Clock) -> None:
    has_view(reader, "budget.daily_spend")
    assert rows(reader, DAYS) == []
    spend(reader, 1, service="a")
    row = one(reader, DAYS)
    assert row._asdict() == {
        "day": date(2025, 10, 3),
        "service_name": "a",
        "settled": 1,
        "held": 0,
        "cancelled": 0,
        "expired": 0,
        "calls": 1,
    }


def everything(connection: Connection, clock: Clock) -> None:
    """One row of each kind, each with an amount of its own."""
    with as_owner(connection):
        reserve(connection, 1, p_ttl="1 minute")
        clock.advance(minutes=1)
        call(connection, "expire")
        reserve(connection, 2, p_ttl="1 minute")
        clock.advance(minutes=1)  # lapsed, and not marked
        reserve(connection, 4)
        spend(connection, 8, service="test")
        call(connection, "record", 16, "test")
        call(connection, "settle", reserve(connection, 5), 32)
        call(connection, "cancel", reserve(connection, Decimal("0.5")))


def test_every_row_is_counted_once(reader: Connection, clock: Clock) -> None:
    everything(reader, clock)
    expect(one(reader, DAYS), settled=8 + 16 + 32, held=4, cancelled=Decimal("0.5"), expired=1 + 2, calls=7)


def test_what_lapsed_is_settled_too_where_the_limits_say_keep(reader: Connection, clock: Clock) -> None:
    configure(reader, {"emergency_kill": 100, "on_expiry": "keep"})
    everything(reader, clock)
    expect(one(reader, DAYS), settled=8 + 16 + 32 + 1 + 2, held=4, cancelled=Decimal("0.5"), expired=1 + 2, calls=7)


@pytest.mark.parametrize("on_expiry", ["release", "keep"])
def test_settled_and_held_are_what_the_day_counts(reader: Connection, clock: Clock, on_expiry: str) -> None:
    configure(reader, {"emergency_kill": 100, "on_expiry": on_expiry})
    everything(reader, clock)
    day, status = one(reader, DAYS), one(reader, "SELECT * FROM budget.status")
    assert (day.settled, day.held) == (status.settled, status.held)


def test_a_row_for_each_day_and_service(reader: Connection, clock: Clock) -> None:
    for day in (3, 4):
        for service, cost in (("a", 1), ("b", 2), ("a", 4)):
            spend(reader, cost * day, service=service, at=NOON.replace(day=day))
    assert [(row.day.day, row.service_name, row.settled, row.calls) for row in rows(reader, DAYS)] == [
        (3, "a", 15, 2),
        (3, "b", 6, 1),
        (4, "a", 20, 2),
        (4, "b", 8, 1),
    ]


@pytest.mark.parametrize("readers_zone", ["UTC", "Asia/Tokyo", "UTC-14", "UTC+12", "<EDT>-4"])
@pytest.mark.parametrize(("zone", "midnight"), [("America/New_York", "04:00"), ("UTC", "00:00"), ("GMT", "00:00")])
def test_days_are_those_of_the_zone_in_force_and_not_the_readers(
    reader: Connection, clock: Clock, readers_zone: str, zone: str, midnight: str
) -> None:
    configure(reader, {"emergency_kill": 100, "timezone": zone})
    reader.execute("SELECT set_config('TimeZone', %s, true)", [readers_zone])
    begins = utc(f"2025-10-04 {midnight}")
    spend(reader, 1, at=begins - timedelta(microseconds=1))
    spend(reader, 2, at=begins)
    assert [(row.day.day, row.settled) for row in rows(reader, DAYS)] == [(3, 1), (4, 2)]


def test_late_spend_stands_on_the_day_of_its_hold(reader: Connection, clock: Clock) -> None:
    with as_owner(reader):
        hold = reserve(reader, 10)
        clock.advance(days=3)
        call(reader, "settle", hold, 12)
    expect(one(reader, DAYS), day=date(2025, 10, 3), settled=12, expired=0)


@pytest.mark.parametrize("metadata", [{"estimated_cost": "much"}, {"type": "cancelled"}, {"type": "expired"}, {}])
def test_the_metadata_of_plain_spend_is_the_applications_own(
    reader: Connection, clock: Clock, metadata: dict[str, object]
) -> None:
    spend(reader, 9, metadata=metadata)
    expect(one(reader, DAYS), settled=9, held=0, cancelled=0, expired=0)


@pytest.mark.parametrize("never", ["infinity", "-infinity"])
def test_a_row_on_no_day_hides_no_other(reader: Connection, clock: Clock, never: str) -> None:
    with as_owner(reader):
        reader.execute("INSERT INTO cost_tracking (service_name, cost, created_at) VALUES ('test', 1, %s)", [never])
    spend(reader, 2)
    assert [(row.day, row.settled) for row in rows(reader, DAYS)] == [(date(2025, 10, 3), 2), (None, 1)]


def test_who_asks_for_a_day_reads_that_alone(tx: Connection, clock: Clock) -> None:
    with as_owner(tx):
        tx.execute(
            """INSERT INTO cost_tracking (service_name, cost, created_at)
               SELECT 'test', 1, '2025-10-01'::timestamptz + n * interval '1 minute'
               FROM generate_series(1, 2000) AS n"""
        )
        spend(tx, 1, service="test")
        query = "SELECT * FROM budget.daily_spend WHERE day = (SELECT s.day FROM budget.status AS s)"
        explained = one(tx, f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}")[0][0]["Plan"]

    def read(node: dict[str, Any]) -> float:
        own = node["Actual Rows"] * node["Actual Loops"] if node.get("Relation Name") == "cost_tracking" else 0
        return float(own + sum(map(read, node.get("Plans", []))))

    assert read(explained) < 20
