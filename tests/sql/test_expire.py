"""budget.expire: the bookkeeping of lapsed holds, on which nothing depends."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from tests.clock import Clock
from tests.conftest import Connect
from tests.rows import Connection, as_owner, call, configure, expect, fails, ledger, reserve, total


@pytest.fixture
def admin(tx: Connection) -> Connection:
    """`tx` as the role that may administrate and nothing more."""
    tx.execute("SET LOCAL ROLE budget_admin")
    return tx


def hold(connection: Connection, cost: int, minutes: int) -> UUID:
    with as_owner(connection):
        return reserve(connection, cost, p_ttl=timedelta(minutes=minutes))


def counted(connection: Connection) -> Decimal:
    with as_owner(connection):
        return total(connection)


def test_marks_what_has_lapsed_and_nothing_else(admin: Connection, clock: Clock) -> None:
    lapsed = [hold(admin, 10, 1), hold(admin, 20, 5)]
    open_hold = hold(admin, 30, 6)
    with as_owner(admin):
        call(admin, "record", 1, "test")
    clock.advance(minutes=5)
    before = counted(admin)

    expect(call(admin, "expire"), expired=2, released=30)

    assert counted(admin) == before == 31
    for row in (ledger(admin, row_id) for row_id in lapsed):
        expect(row, type="expired", cost=0, expires_at=None)
        assert row.metadata["expired_at"] == "2025-10-03T12:05:00.000000Z"
        assert row.metadata["estimated_cost"] == row.metadata["requested_cost"] != "0"
    expect(ledger(admin, open_hold), type="reservation", cost=30)
    expect(call(admin, "expire"), expired=0, released=0)


def test_takes_so_many_at_a_time_the_oldest_first(admin: Connection, clock: Clock) -> None:
    holds = [hold(admin, minutes, minutes) for minutes in (3, 1, 2, 5, 4)]
    clock.advance(minutes=10)
    expect(call(admin, "expire", p_limit=2), expired=2, released=3)
    assert [ledger(admin, row_id).type for row_id in holds[:3]] == ["reservation", "expired", "expired"]
    expect(call(admin, "expire", 2), expired=2, released=7)
    expect(call(admin, "expire", 2), expired=1, released=5)
    expect(call(admin, "expire", 2), expired=0, released=0)


def test_books_the_estimate_where_the_limits_say_keep(admin: Connection, clock: Clock) -> None:
    configure(admin, {"emergency_kill": 100, "on_expiry": "keep"})
    kept = hold(admin, 10, 1)
    clock.advance(minutes=1)
    expect(call(admin, "expire"), expired=1, released=0)
    expect(ledger(admin, kept), type="expired", cost=10, expires_at=None)
    assert counted(admin) == 10
    configure(admin, {"emergency_kill": 100, "on_expiry": "release"})
    assert counted(admin) == 10  # booked is booked
    with as_owner(admin):
        expect(call(admin, "settle", kept, 4), actual_cost=4, late=True)
    assert counted(admin) == 4


def test_without_a_configuration_nothing_says_whether_money_is_freed_or_kept(admin: Connection, clock: Clock) -> None:
    lapsed = hold(admin, 10, 1)
    clock.advance(minutes=1)
    configure(admin, None)
    fails(admin, "PB005", "expire")
    expect(ledger(admin, lapsed), type="reservation", cost=10)


def test_leaves_the_past_where_it_was(admin: Connection, clock: Clock) -> None:
    """A hold that lapsed yesterday is yesterday's row still."""
    lapsed = hold(admin, 10, 1)
    created_at = clock.now
    clock.advance(days=2)
    expect(call(admin, "expire"), expired=1, released=10)
    expect(ledger(admin, lapsed), created_at=created_at)


@pytest.mark.parametrize("p_limit", [None, 0, -1])
def test_limits_of_less_than_one_hold_are_refused(admin: Connection, p_limit: int | None) -> None:
    fails(admin, "22023", "expire", p_limit)


def test_skips_a_hold_that_somebody_is_settling(db: Connection, connect: Connect) -> None:
    clock = Clock(db)
    busy, idle = reserve(db, 10), reserve(db, 20)
    clock.advance(hours=1)
    other = connect()
    with other.transaction():
        call(other, "settle", busy, 7)
        expect(call(db, "expire"), expired=1, released=20)
    expect(ledger(db, busy), type="actual", cost=7)
    expect(ledger(db, idle), type="expired", cost=0)
