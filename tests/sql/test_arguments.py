"""Amounts, names, metadata and times to live: the rules that every function which takes them keeps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from pgbudget.migrations import migrate
from tests.clock import Clock, utc
from tests.pgtap import col_type_is
from tests.rows import Connection, call, configure, expect, failing, fails, ledger, one, reserve, rows, spend, total

# Each takes an amount, and answers with the ledger row that it wrote, if it writes one.
TAKES_AMOUNT: dict[str, Callable[[Connection, object], Any]] = {
    "reserve": lambda c, amount: ledger(c, call(c, "reserve", amount, "test").reservation_id),
    "reserve_advisory": lambda c, amount: ledger(c, call(c, "reserve_advisory", amount, "test").reservation_id),
    "check_and_reserve_budget": lambda c, amount: ledger(
        c, call(c, "public.check_and_reserve_budget", amount, "test").reservation_id
    ),
    "extend": lambda c, amount: ledger(c, call(c, "extend", reserve(c), amount).reservation_id),
    "settle": lambda c, amount: ledger(c, call(c, "settle", reserve(c), amount).reservation_id),
    "record": lambda c, amount: ledger(c, call(c, "record", amount, "test").reservation_id),
    "check": lambda c, amount: call(c, "check", amount, "test"),
}


@pytest.fixture
def roomy(tx: Connection) -> Connection:
    """`tx` under a limit that leaves room for every amount used here."""
    configure(tx, {"emergency_kill": Decimal("1e14")})
    return tx


@pytest.mark.parametrize("function", TAKES_AMOUNT)
@pytest.mark.parametrize(
    "amount", ["NaN", "Infinity", "-Infinity", "-1", "-0.0000000000001", "1e15", "999999999999999.9999999999999"]
)
def test_amounts_out_of_range(roomy: Connection, function: str, amount: str) -> None:
    with failing(roomy, "22003") as caught:
        TAKES_AMOUNT[function](roomy, Decimal(amount))
    assert caught.value.diag.message_detail == f"The amount is {Decimal(amount):f}."


@pytest.mark.parametrize(
    "function", sorted(TAKES_AMOUNT.keys() - {"extend"})
)  # there NULL leaves the estimate as it is
def test_an_amount_must_not_be_null(roomy: Connection, function: str) -> None:
    with failing(roomy, "22023"):
        TAKES_AMOUNT[function](roomy, None)


@pytest.mark.parametrize("function", sorted(TAKES_AMOUNT.keys() - {"check"}))  # which stores nothing
@pytest.mark.parametrize(
    ("amount", "stored"),
    [
        ("0", "0"),
        ("7.25", "7.25"),
        ("0.000000000001", "0.000000000001"),  # 12 decimals are kept
        ("1.0000000000001", "1.000000000001"),  # the 13th rounds up
        ("0.30000000000000004", "0.300000000001"),  # 0.1 + 0.2 of a float
        ("1e-400", "0.000000000001"),  # nothing positive is free
        ("5.0000000000000000", "5"),
        ("99999999999999.999999999999", "99999999999999.999999999999"),
    ],
)
def test_at_most_12_decimals_are_stored_rounded_up(roomy: Connection, function: str, amount: str, stored: str) -> None:
    assert TAKES_AMOUNT[function](roomy, Decimal(amount)).cost == Decimal(stored)


def test_check_rounds_up_as_reserve_does(tx: Connection) -> None:
    expect(call(tx, "check", Decimal("99.9999999999991"), "test"), reason="granted")
    expect(call(tx, "check", Decimal("100.0000000000001"), "test"), reason="too_large")
    spend(tx, Decimal("99.999999999999"))
    expect(call(tx, "check", Decimal("0.000000000001"), "test"), reason="granted")
    expect(call(tx, "check", Decimal("0.0000000000011"), "test"), reason="exhausted")


def test_a_cost_column_of_four_decimals_is_widened_so_that_small_amounts_count(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as db:
        db.execute(
            """CREATE TABLE public.cost_tracking (
                   id uuid PRIMARY KEY DEFAULT gen_random_uuid(), service_name text NOT NULL,
                   cost numeric(10, 4) NOT NULL, metadata jsonb DEFAULT '{}', created_at timestamptz DEFAULT now()
               )"""
        )
        migrate(empty_dsn)
        col_type_is(db, "public.cost_tracking", "cost", "numeric")
        Clock(db)
        configure(db, {"emergency_kill": Decimal("0.001")})
        verdicts = [call(db, "reserve", Decimal("0.00004"), "test") for _ in range(26)]
        assert [verdict.can_proceed for verdict in verdicts] == [True] * 25 + [False]
        assert total(db) == Decimal("0.001")


# ------------------------------------------------------------------------------------------- names and metadata

TAKES_NAME: dict[str, Callable[[Connection, object, object], Any]] = {
    "reserve": lambda c, name, metadata: call(c, "reserve", 1, name, metadata),
    "reserve_advisory": lambda c, name, metadata: call(c, "reserve_advisory", 1, name, metadata),
    "check_and_reserve_budget": lambda c, name, metadata: call(c, "public.check_and_reserve_budget", 1, name, metadata),
    "check": lambda c, name, metadata: call(c, "check", 1, name, metadata),
    "record": lambda c, name, metadata: call(c, "record", 1, name, metadata),
}
TAKES_METADATA = TAKES_NAME | {"settle": lambda c, _, metadata: call(c, "settle", reserve(c), 1, metadata)}

LARGEST = '{"key": "' + "x" * (65536 - len('{"key": ""}')) + '"}'
assert len(LARGEST) == 65536


@pytest.mark.parametrize("function", TAKES_NAME)
@pytest.mark.parametrize("name", [None, "", "x" * 201])
def test_service_names_that_are_refused(tx: Connection, function: str, name: str | None) -> None:
    with failing(tx, "22023"):
        TAKES_NAME[function](tx, name, {})


@pytest.mark.parametrize("function", TAKES_NAME)
@pytest.mark.parametrize("name", ["x", " ", "é" * 200, "'; DROP TABLE cost_tracking; --"])
def test_service_names_that_are_taken_as_they_are(tx: Connection, function: str, name: str) -> None:
    TAKES_NAME[function](tx, name, {})
    written = [] if function == "check" else [(name,)]
    assert rows(tx, "SELECT service_name FROM public.cost_tracking") == written


@pytest.mark.parametrize("function", TAKES_METADATA)
@pytest.mark.parametrize("metadata", ["null", "[]", '"text"', "1", "true", LARGEST.replace("x", "xx", 1)])
def test_metadata_that_is_refused(tx: Connection, function: str, metadata: str) -> None:
    with failing(tx, "22023") as caught:
        TAKES_METADATA[function](tx, "test", metadata)
    assert (caught.value.diag.message_primary or "").startswith("p_metadata must")


@pytest.mark.parametrize("function", TAKES_METADATA)
@pytest.mark.parametrize(
    ("metadata", "kept"),
    [(None, "{}"), ("{}", "{}"), ('{"a": [1, {"b": null}]}', '{"a": [1, {"b": null}]}'), (LARGEST,) * 2],
)
def test_metadata_that_is_kept(tx: Connection, function: str, metadata: str | None, kept: str) -> None:
    TAKES_METADATA[function](tx, "test", metadata)
    where = "metadata" if function == "settle" else "metadata -> 'original_metadata'"
    assert [row.kept for row in rows(tx, f"SELECT {where} @> %s::jsonb AS kept FROM public.cost_tracking", kept)] == (
        [] if function == "check" else [True]
    )


def test_a_reason_for_cancelling_is_bounded_too(tx: Connection) -> None:
    diag = fails(tx, "22023", "cancel", reserve(tx), "x" * 70_000)
    assert diag.message_primary.startswith("p_reason must")


# ------------------------------------------------------------------------------------------------- time to live

TAKES_TTL: dict[str, Callable[[Connection, object], Any]] = {
    "reserve": lambda c, ttl: call(c, "reserve", 1, "test", p_ttl=ttl),
    "reserve_advisory": lambda c, ttl: call(c, "reserve_advisory", 1, "test", p_ttl=ttl),
    "extend": lambda c, ttl: call(c, "extend", reserve(c), p_ttl=ttl),
}


@pytest.mark.parametrize("function", TAKES_TTL)
@pytest.mark.parametrize(
    "ttl", ["0", "-1 second", "1 day 1 microsecond", "2 days", "1 month", "24:00:00.000001", "178000000 years"]
)
def test_times_to_live_that_are_refused(tx: Connection, function: str, ttl: str) -> None:
    with failing(tx, "22023"):
        TAKES_TTL[function](tx, ttl)


@pytest.mark.parametrize("function", TAKES_TTL)
@pytest.mark.parametrize(
    ("ttl", "seconds"), [("1 microsecond", 1e-6), ("90 seconds", 90), ("24 hours", 86400), ("1 day", 86400)]
)
def test_times_to_live_are_exact_seconds(tx: Connection, clock: Clock, function: str, ttl: str, seconds: float) -> None:
    tx.execute("SET LOCAL TimeZone = 'America/New_York'")
    clock.set("2025-11-02 04:00")  # the first hour of a day of 25
    assert TAKES_TTL[function](tx, ttl).expires_at == clock.now + timedelta(seconds=seconds)


def test_the_time_to_live_of_the_limits_is_exact_seconds_too(tx: Connection, clock: Clock) -> None:
    tx.execute("SET LOCAL TimeZone = 'America/New_York'")
    clock.set("2025-11-02 04:00")
    configure(tx, {"emergency_kill": 100, "reservation_ttl": "1 day"})
    expect(call(tx, "reserve", 1, "test"), expires_at=utc("2025-11-03 04:00"))
    assert one(tx, "SELECT expires_at FROM budget.open_holds").expires_at == utc("2025-11-03 04:00")
