"""budget.estimate_from_history: what a service's calls have cost."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.clock import Clock
from tests.rows import Connection, as_owner, call, configure, expect, fails, reserve, spend


def settle(connection: Connection, *costs: Decimal | int, service: str = "test") -> None:
    """Calls that were reserved and have cost this."""
    for cost in costs:
        call(connection, "settle", reserve(connection, 1, service), cost)


@pytest.mark.parametrize(
    ("quantile", "estimate"),
    [("0", 1), ("0.05", 1), ("0.1", 1), ("0.10001", 2), ("0.5", 5), ("0.9", 9), ("0.91", 10), ("1", 10)],
)
def test_the_exact_quantile(caller: Connection, clock: Clock, quantile: str, estimate: int) -> None:
    settle(caller, 7, 3, 9, 1, 10, 4, 2, 8, 6, 5)
    row = call(caller, "estimate_from_history", p_service_name="test", p_quantile=Decimal(quantile))
    expect(row, estimate=estimate, samples=10)


def test_nine_of_ten_calls_by_default(caller: Connection, clock: Clock) -> None:
    settle(caller, *range(1, 11))
    expect(call(caller, "estimate_from_history", "test"), estimate=9, samples=10)


def test_an_amount_that_was_spent_and_none_between(caller: Connection, clock: Clock) -> None:
    settle(caller, Decimal("0.000000000001"), Decimal("0.3"))
    expect(call(caller, "estimate_from_history", "test", Decimal("0.5")), estimate=Decimal("0.000000000001"))


def test_without_a_history_there_is_no_estimate(caller: Connection) -> None:
    expect(call(caller, "estimate_from_history", "test"), estimate=None, samples=0)


def test_only_settled_holds_of_the_service_count(caller: Connection, clock: Clock) -> None:
    configure(caller, {"emergency_kill": 1000})
    settle(caller, 5)
    settle(caller, 50, service="other")
    call(caller, "record", 50, "test")
    spend(caller, 50, service="test", metadata={"type": "actual"})
    call(caller, "cancel", reserve(caller, 50))
    reserve(caller, 3, p_ttl="1 minute")
    clock.advance(minutes=1)
    with as_owner(caller):
        call(caller, "expire")
    reserve(caller, 3)
    expect(call(caller, "estimate_from_history", "test", 1), estimate=5, samples=1)


def test_a_hold_that_was_settled_late_or_by_its_application_counts(caller: Connection, clock: Clock) -> None:
    late, direct = reserve(caller, 1), reserve(caller, 1)
    with as_owner(caller):
        caller.execute("""UPDATE cost_tracking SET cost = 2, metadata = '{"type": "actual"}' WHERE id = %s""", [direct])
    clock.advance(hours=1)
    call(caller, "settle", late, 3)
    expect(call(caller, "estimate_from_history", "test", 1), estimate=3, samples=2)


@pytest.mark.parametrize(
    ("since", "samples"),
    [
        ("1 second", 0),
        ("23:59:59", 0),
        ("1 day", 1),
        ("30 days", 1),
        ("40 days", 2),
        ("infinity", 2),
        ("9000 years", 2),
    ],
)
def test_how_far_back(caller: Connection, clock: Clock, since: str, samples: int) -> None:
    settle(caller, 1)
    clock.advance(days=39)
    settle(caller, 2)
    clock.advance(days=1)
    if since == "infinity" and caller.info.server_version < 170000:
        since = "100 years"  # there is no infinite interval before PostgreSQL 17
    expect(call(caller, "estimate_from_history", "test", p_since=since), samples=samples)


def test_a_day_back_is_24_hours_whatever_the_callers_time_zone(caller: Connection, clock: Clock) -> None:
    caller.execute("SET LOCAL TimeZone = 'America/New_York'")
    clock.set("2025-11-02 04:00")  # midnight, where the day has 25 hours
    settle(caller, 1)
    clock.advance(hours=24, seconds=1)
    expect(call(caller, "estimate_from_history", "test", p_since=timedelta(days=1)), samples=0)


@pytest.mark.parametrize("quantile", [None, "-0.01", "1.01", "NaN", "Infinity"])
def test_quantiles_that_are_refused(caller: Connection, quantile: str | None) -> None:
    fails(caller, "22023", "estimate_from_history", "test", Decimal(quantile) if quantile else None)


@pytest.mark.parametrize("since", [None, "0", "-1 day"])
def test_spans_that_are_refused(caller: Connection, since: str | None) -> None:
    fails(caller, "22023", "estimate_from_history", "test", p_since=since)


@pytest.mark.parametrize("service", [None, ""])
def test_services_that_are_refused(caller: Connection, service: str | None) -> None:
    fails(caller, "22023", "estimate_from_history", service)
