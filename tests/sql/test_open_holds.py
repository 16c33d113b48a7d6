"""budget.open_holds: every hold that counts now."""

from __future__ import annotations

from datetime import timedelta

from tests.clock import NOON, Clock
from tests.pgtap import has_view
from tests.rows import Connection, as_owner, call, configure, expect, one, reserve, rows, spend

HOLDS = "SELECT * FROM budget.open_holds ORDER BY expires_at"


def test_a_hold_and_its_columns(reader: Connection, clock: Clock) -> None:
    has_view(reader, "budget.open_holds")
    with as_owner(reader):
        hold = reserve(reader, 10, "batch", p_metadata={"work": "order"}, p_ttl="5 minutes")
    row = one(reader, HOLDS)
    assert row._fields == ("reservation_id", "service_name", "estimated_cost", "reserved_at", "expires_at", "metadata")
    expect(
        row,
        reservation_id=hold,
        service_name="batch",
        estimated_cost=10,
        reserved_at=NOON,
        expires_at=NOON + timedelta(minutes=5),
        metadata={"work": "order"},
    )


def test_only_what_counts_now_is_open(reader: Connection, clock: Clock) -> None:
    with as_owner(reader):
        reserve(reader, 1, p_ttl="1 minute")
        clock.advance(minutes=1)
        spend(reader, 2)
        call(reader, "record", 3, "test")
        call(reader, "settle", reserve(reader, 4), 4)
        call(reader, "cancel", reserve(reader, 5))
        open_hold = reserve(reader, 6)
    expect(one(reader, HOLDS), reservation_id=open_hold)
    clock.advance(hours=1, microseconds=-1)
    expect(one(reader, HOLDS), reservation_id=open_hold)
    clock.advance(microseconds=1)
    assert rows(reader, HOLDS) == []


def test_lapsed_holds_are_not_open_where_they_are_kept_either(reader: Connection, clock: Clock) -> None:
    configure(reader, {"emergency_kill": 100, "on_expiry": "keep"})
    with as_owner(reader):
        reserve(reader, 1)
    clock.advance(hours=1)
    assert rows(reader, HOLDS) == []


def test_holds_of_yesterday_are_shown(reader: Connection, clock: Clock) -> None:
    clock.set("2025-10-03 23:59")
    with as_owner(reader):
        hold = reserve(reader, 1)
    clock.set("2025-10-04 00:01")
    expect(one(reader, HOLDS), reservation_id=hold, reserved_at=NOON.replace(hour=23, minute=59))


def test_an_extended_hold_shows_its_new_estimate(reader: Connection, clock: Clock) -> None:
    with as_owner(reader):
        call(reader, "extend", reserve(reader, 1), 5, "2 hours")
    expect(one(reader, HOLDS), estimated_cost=5, expires_at=NOON + timedelta(hours=2))


def test_a_hold_of_the_applications_own_is_one(reader: Connection, clock: Clock) -> None:
    hold = spend(reader, 8, metadata={"type": "reservation", "original_metadata": [1]})
    expect(one(reader, HOLDS), reservation_id=hold, estimated_cost=8, metadata=[1])
    spend(reader, 9, metadata={"type": "reservation"})
    assert {row.metadata is None for row in rows(reader, HOLDS)} == {True, False}
