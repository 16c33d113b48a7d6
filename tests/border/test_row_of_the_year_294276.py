"""Rows that a direct writer dates beyond any calendar: they give nobody room, and hide no other row from any reader.

A direct hold at `-infinity` gave a `total` budget room without end; a row of the year 294276 ended `daily_spend`.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests import chain
from tests.migration.support import session
from tests.rows import Connection, call, reserve, rows

ODD = ["-infinity", "infinity", "294276-12-31 23:59:59+00", "20000-01-01 00:00+00", "0044-03-15 12:00+00 BC"]
VIEWS = ["status", "daily_spend", "hourly_spend", "open_holds", "invariants", "escalations"]
HOLD = """INSERT INTO public.cost_tracking (service_name, cost, metadata, created_at, expires_at)
          VALUES ('odd', %s, '{"type": "reservation"}', %s, %s)"""
SPENT = "INSERT INTO public.cost_tracking (service_name, cost, created_at) VALUES ('odd', %s, %s)"


@pytest.fixture
def budgets(empty_dsn: str) -> Iterator[Connection]:
    chain.load(empty_dsn, "budgets")
    with session(empty_dsn) as connection:
        for period in ("minute", "hour", "day", "week", "month", "total"):
            call(connection, "set_budget", period, 10, p_period=period)
        yield connection


def direct_hold(db: Connection, cost: int, at: str, until: object = None) -> bool:
    """Whether the ledger takes it: a hold that would never lapse is refused."""
    try:
        db.execute(HOLD, (cost, at, until))
    except (psycopg.errors.CheckViolation, psycopg.errors.DatetimeFieldOverflow):
        return False
    return True


@pytest.mark.parametrize("at", ODD)
def test_no_reader_is_stopped(db: Connection, at: str) -> None:
    hold = reserve(db, 2)
    db.execute(SPENT, (1, at))
    direct_hold(db, 4, at)
    db.execute(HOLD, (8, at, "2100-01-01"))
    read = {view: rows(db, f"SELECT * FROM budget.{view}") for view in VIEWS}
    assert [(row.held, row.open_holds) for row in read["status"]] == [(2, 1)]
    assert sum(row.held for row in read["hourly_spend"]) == 2
    assert sorted(row.held for row in read["daily_spend"] if row.day) == [2]
    assert sum(row.settled for row in read["daily_spend"] if not row.day) == 1
    assert {row.estimated_cost: row.reserved_at is None for row in read["open_holds"]} == {2: False, 8: True}
    assert read["invariants"] == []
    assert call(db, "settle", hold, 2).status == "actual"
    assert rows(db, "SELECT * FROM budget.estimate_from_history('test')")[0].samples == 1


@pytest.mark.parametrize("until", ["infinity", "294276-01-01", "20000-01-01"])
def test_a_hold_that_never_lapses_is_refused(db: Connection, until: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="budget_expiry_of_hold"):
        db.execute(HOLD, (1, "2031-01-01", until))
    hold = reserve(db, 1)
    with pytest.raises(psycopg.errors.CheckViolation, match="budget_expiry_of_hold"):
        db.execute("UPDATE public.cost_tracking SET expires_at = %s WHERE id = %s", (until, hold))


@pytest.mark.parametrize("at", ODD)
def test_no_balance_has_more_room_for_it(budgets: Connection, at: str) -> None:
    """Spend of the year 20000 is spent, and counts in a total; what is at no time is in no window at all."""
    direct_hold(budgets, 500, at)
    counts = int(direct_hold(budgets, 5, at, "2100-01-01") and "infinity" not in at) * 5
    assert call(budgets, "reserve", 8, "svc").can_proceed == (counts == 0)
    assert rows(budgets, "SELECT * FROM budget.invariants") == []
    standing = {row.name: row for row in rows(budgets, "SELECT * FROM budget.budget_status")}
    assert standing["total"].held == (counts or 8)
    assert standing["month"].held == (0 if counts else 8)
    assert rows(budgets, "SELECT * FROM budget.reconcile()") == []
    call(budgets, "set_budget", "total", 10, p_period="total")  # which adds it up anew
    call(budgets, "set_limits", psycopg.types.json.Jsonb({"timezone": "Asia/Tokyo"}))
    assert rows(budgets, "SELECT * FROM budget.invariants") == []


def test_a_total_has_no_more_room_for_a_hold_that_was_never_in_it(empty_dsn: str) -> None:
    chain.load(empty_dsn, "budgets")
    with session(empty_dsn) as db:
        call(db, "set_budget", "total", 10, p_period="total")
        direct_hold(db, 500, "-infinity")
        reserve(db, 8)
        assert [call(db, "reserve", 5, "svc").budget, call(db, "check", 5, "svc").budget] == ["total", "total"]
        reserve(db, 2)
        assert rows(db, "SELECT * FROM budget.invariants") == []


def test_a_hold_at_no_time_frees_nothing_by_lapsing(budgets: Connection) -> None:
    direct_hold(budgets, 100, "-infinity", "2100-01-01")
    budgets.execute(SPENT, (9, "2001-01-01"))
    verdict = call(budgets, "reserve", 5, "svc")
    assert (verdict.can_proceed, verdict.budget, verdict.reason) == (False, "total", "exhausted")
