"""budget.status: the day as it stands, in one row whatever happens."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.clock import NOON, Clock, utc
from tests.pgtap import has_view
from tests.rows import Connection, as_owner, call, configure, expect, one, reserve, spend


def status(connection: Connection) -> Any:
    """The row as the role sees it that may read the views and nothing more."""
    role = one(connection, "SELECT current_user AS role").role
    connection.execute("SET LOCAL ROLE budget_reader")
    row = one(connection, "SELECT * FROM budget.status")
    connection.execute(f"SET LOCAL ROLE {role}".encode())
    return row


def test_columns(tx: Connection) -> None:
    has_view(tx, "budget.status")
    assert status(tx)._fields == (
        *("day", "timezone", "daily_soft_cap", "daily_hard_cap", "emergency_kill", "settled", "held", "remaining"),
        *("share_used", "open_holds", "oldest_hold", "frozen", "frozen_reason", "resets_at", "unknown_keys"),
        "config_error",
    )


def test_an_empty_day(tx: Connection, clock: Clock) -> None:
    expect(
        status(tx),
        day=date(2025, 10, 3),
        timezone="UTC",
        daily_soft_cap=20,
        daily_hard_cap=50,
        emergency_kill=100,
        settled=0,
        held=0,
        remaining=100,
        share_used=0,
        open_holds=0,
        oldest_hold=None,
        frozen=False,
        frozen_reason=None,
        resets_at=utc("2025-10-04"),
        unknown_keys=[],
        config_error=None,
    )


def test_a_day_with_everything(tx: Connection, clock: Clock) -> None:
    reserve(tx, 40, p_ttl="1 minute")  # will have lapsed
    clock.advance(minutes=1)
    spend(tx, 3)
    call(tx, "record", Decimal("4.5"), "test")
    call(tx, "settle", reserve(tx, 10), 12)
    call(tx, "cancel", reserve(tx, 10))
    reserve(tx, 7)
    clock.advance(minutes=1)
    reserve(tx, 6)
    spend(tx, 99, at=NOON - timedelta(days=1))
    expect(
        status(tx),
        settled=Decimal("19.5"),
        held=13,
        remaining=Decimal("67.5"),
        share_used=Decimal("0.3250"),
        open_holds=2,
        oldest_hold=NOON + timedelta(minutes=1),
    )


def test_agrees_with_the_verdict(tx: Connection, clock: Clock) -> None:
    spend(tx, Decimal("0.000000000001"))
    reserve(tx, Decimal("33.3"))
    row, verdict = status(tx), call(tx, "check", 0, "test")
    assert row.settled + row.held == verdict.current_total
    assert (row.remaining, row.resets_at, row.emergency_kill) == (
        verdict.remaining,
        verdict.resets_at,
        verdict.limit_amount,
    )


def test_lapsed_holds_count_nowhere_from_their_instant_on(tx: Connection, clock: Clock) -> None:
    reserve(tx, 10)
    clock.advance(hours=1, microseconds=-1)
    expect(status(tx), settled=0, held=10, open_holds=1)
    clock.advance(microseconds=1)
    expect(status(tx), settled=0, held=0, open_holds=0, oldest_hold=None, remaining=100)


def test_lapsed_holds_are_spent_where_the_limits_say_keep(tx: Connection, clock: Clock) -> None:
    configure(tx, {"emergency_kill": 100, "on_expiry": "keep"})
    reserve(tx, 10)
    clock.advance(hours=1)
    before = status(tx)
    expect(before, settled=10, held=0, open_holds=0)
    call(tx, "expire")
    assert status(tx) == before


def test_an_overspent_day(tx: Connection, clock: Clock) -> None:
    spend(tx, 150)
    expect(status(tx), remaining=-50, share_used=Decimal("1.5"))


def test_a_limit_of_nothing(tx: Connection, clock: Clock) -> None:
    configure(tx, {"emergency_kill": 0})
    expect(status(tx), remaining=0, share_used=None)


def test_holds_of_yesterday_are_not_todays(tx: Connection, clock: Clock) -> None:
    clock.set("2025-10-03 23:59")
    reserve(tx, 10)
    clock.set("2025-10-04 00:01")
    expect(status(tx), held=0, open_holds=0, day=date(2025, 10, 4))


def test_keys_that_nothing_enforces_are_shown(tx: Connection) -> None:
    configure(tx, {"emergency_kill": 100, "monthly_hard_cap": 1000, "daily_sfot_cap": 1, "Timezone": "UTC"})
    expect(status(tx), unknown_keys=["Timezone", "daily_sfot_cap", "monthly_hard_cap"], config_error=None)


def test_a_broken_configuration_keeps_the_row(tx: Connection, clock: Clock) -> None:
    spend(tx, 3)
    reserve(tx, 7)
    configure(tx, '{"emergency_kill": 100, "daily_soft_cap": 101, "monthly_hard_cap": 1000}')
    with as_owner(tx):
        call(tx, "freeze", "stop")
    row = status(tx)
    expect(row, settled=3, held=7, frozen=True, frozen_reason="stop", timezone="UTC", resets_at=utc("2025-10-04"))
    expect(row, daily_soft_cap=None, emergency_kill=None, remaining=None, share_used=None, unknown_keys=None)
    assert "daily_soft_cap" in row.config_error
