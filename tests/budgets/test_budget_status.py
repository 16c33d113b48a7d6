"""The view budget.budget_status: every budget and member, as the decisions see them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.budgets.standing import call_as_owner, set_budget, standing
from tests.clock import NOON, Clock, utc
from tests.pgtap import results_eq, table_privs_are, throws_ok
from tests.rows import Connection, call, configure, expect, reserve, rows, spend

ALPHA: dict[str, object] = {"team": "alpha"}


def test_a_new_database_has_the_day_alone(tx: Connection, clock: Clock) -> None:
    results_eq(
        tx,
        "SELECT * FROM budget.budget_status",
        [("daily", "*", "*", "day", 100, 0, 0, 100, utc("2025-10-04"), "block", True, None, None)],
    )


@pytest.mark.parametrize("slots", [1, 4])
def test_spent_held_and_remaining_are_the_limit(tx: Connection, clock: Clock, slots: int) -> None:
    set_budget(tx, "team", 50, "team", period="month", slots=slots)
    spend(tx, 7, metadata=ALPHA)
    reserve(tx, 5, p_metadata=ALPHA)
    reserve(tx, 4, p_metadata=ALPHA, p_ttl=timedelta(minutes=1))
    reserve(tx, 3, p_metadata={"team": "beta"})
    clock.advance(minutes=1)  # one has lapsed, and is not marked
    for member, spent, held in (("alpha", 7, 5), ("beta", 0, 3)):
        expect(
            standing(tx, "team", member),
            dimension="team",
            period="month",
            limit_amount=50,
            spent=spent,
            held=held,
            remaining=50 - spent - held,
            resets_at=utc("2025-11-01"),
            enforcement="block",
            is_active=True,
            raised_by=None,
            raised_until=None,
        )
        verdict = call(tx, "check", 1, "svc", {"team": member})
        assert verdict.can_proceed


def test_it_says_what_the_next_decision_goes_by(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 20, "team", slots=4)
    for cost in (5, 4, 3):
        reserve(tx, cost, p_metadata=ALPHA)
    spend(tx, 2, metadata=ALPHA)
    refused = call(tx, "check", 20, "svc", ALPHA)
    expect(standing(tx, "team", "alpha"), remaining=refused.remaining, resets_at=refused.resets_at)
    assert refused.current_total == 14


def test_a_budget_that_nobody_used_has_a_row_too(reader: Connection, clock: Clock) -> None:
    set_budget(reader, "team", 20, "team")
    set_budget(reader, "alpha's", 30, "team", member="alpha")
    results_eq(
        reader,
        """SELECT s.name, s.member, s.spent, s.remaining FROM budget.budget_status AS s
           WHERE s.name <> 'daily'""",
        [("alpha's", "alpha", 0, 30), ("team", None, 0, 20)],
    )


def test_members_of_an_ended_window_are_gone(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 20, "team", period="hour")
    reserve(tx, 5, p_metadata=ALPHA)
    clock.advance(hours=1)
    results_eq(tx, "SELECT s.member, s.remaining FROM budget.budget_status AS s WHERE s.name = 'team'", [(None, 20)])


def test_spend_that_nobody_asked_for_yet_is_there(tx: Connection, clock: Clock) -> None:
    """No decision has opened its balance: the ledger has it."""
    set_budget(tx, "team", 20, "team")
    spend(tx, 5, metadata=ALPHA)
    spend(tx, 6, metadata=ALPHA)
    expect(standing(tx, "team", "alpha"), spent=11, held=0, remaining=9)


def test_under_keep_a_lapsed_hold_is_spent(tx: Connection, clock: Clock) -> None:
    configure(tx, {"emergency_kill": 100, "on_expiry": "keep"})
    reserve(tx, 5, p_ttl=timedelta(minutes=1))
    clock.advance(minutes=1)
    expect(standing(tx, "daily"), spent=5, held=0, remaining=95)


def test_broken_limits_leave_the_day_without_one(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "b", 20)
    spend(tx, 5)
    configure(tx, "{}")
    expect(standing(tx, "daily"), spent=5, limit_amount=None, remaining=None)
    expect(standing(tx, "b"), spent=5, limit_amount=20, remaining=15)


def test_a_reader_sees_it_and_the_budgets_and_writes_neither(reader: Connection, clock: Clock) -> None:
    set_budget(reader, "b", 20, extra=5, until=NOON + timedelta(hours=1))
    [found] = rows(reader, "SELECT * FROM budget.budget_status AS s WHERE s.name = 'b'")
    expect(found, limit_amount=25, raised_by=5, raised_until=NOON + timedelta(hours=1))
    assert {row.name for row in rows(reader, "SELECT b.name FROM budget.budgets AS b")} == {"b", "daily"}
    reader.execute("RESET ROLE")
    table_privs_are(reader, "budget.budgets", "budget_reader", ["SELECT"])
    for table in ("budget.balances", "budget.postings"):
        table_privs_are(reader, table, "budget_reader", [])
    for role in ("budget_caller", "app"):
        table_privs_are(reader, "budget.budgets", role, [])
        table_privs_are(reader, "budget.budget_status", role, [])


def test_a_caller_alone_sees_nothing_of_it(tx: Connection) -> None:
    tx.execute("SET LOCAL ROLE app")
    throws_ok(tx, "SELECT * FROM budget.budget_status", None, "42501")


def test_dropped_budgets_are_gone(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "b", 20)
    call_as_owner(tx, "drop_budget", "b")
    results_eq(tx, "SELECT s.name FROM budget.budget_status AS s", [("daily",)])
