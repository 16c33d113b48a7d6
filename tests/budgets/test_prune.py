"""budget.prune: the balances of ended windows go, the ledger stays, and what comes late still counts right."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.budgets.standing import call_as_owner, drift, members, set_budget
from tests.clock import NOON, Clock, utc
from tests.rows import Connection, as_owner, call, expect, ledger_size, one, reserve, rows, spend


def prune(connection: Connection, before: object = None) -> int:
    with as_owner(connection):
        pruned: int = one(connection, "SELECT budget.prune(%s) AS pruned", before).pruned
    return pruned


def windows(connection: Connection, table: str = "balances") -> set[tuple[str, str | None]]:
    with as_owner(connection):
        found = rows(
            connection,
            f"""SELECT t.budget, to_char(nullif(t.starts_at, '-infinity'), 'DD HH24') AS hour
                  FROM budget.{table} AS t""",
        )
    return {(row.budget, row.hour) for row in found}


@pytest.fixture(params=[1, 3], ids=["one slot", "slots"])
def hours(request: pytest.FixtureRequest, tx: Connection, clock: Clock) -> Connection:
    """A budget of the hour that has seen three of them, one that never ends, and the day."""
    set_budget(tx, "hourly", 10, period="hour", slots=request.param)
    set_budget(tx, "ever", 1000, period="total")
    for hour in range(3):
        clock.set(NOON + timedelta(hours=hour))
        spend(tx, 2)
        reserve(tx, 3, p_ttl=timedelta(hours=20))
    return tx


DAY = ("daily", "03 00")
EVER = ("ever", None)


@pytest.mark.parametrize(
    ("before", "pruned", "left"),
    [
        (None, 2, {"03 14"}),
        ("2025-10-03 14:00", 2, {"03 14"}),
        ("2025-10-03 13:59", 1, {"03 13", "03 14"}),
        ("2025-10-03", 0, {"03 12", "03 13", "03 14"}),
        ("2031-01-01", 2, {"03 14"}),
    ],
)
def test_windows_that_have_ended_by_then_go(hours: Connection, before: str | None, pruned: int, left: set[str]) -> None:
    size = ledger_size(hours)
    assert prune(hours, before and utc(before)) == pruned
    assert windows(hours) == {("hourly", hour) for hour in left} | {DAY, EVER}
    assert ledger_size(hours) == size
    assert members(hours, "hourly") == {"*": 5}
    assert members(hours, "ever") == {"*": 15}
    assert prune(hours, before and utc(before)) == 0


def test_days_end_too(hours: Connection, clock: Clock) -> None:
    clock.set("2025-10-05")
    assert prune(hours) == 4
    assert windows(hours) == {EVER}


def test_what_comes_late_counts_in_its_window_when_someone_asks_for_it(hours: Connection, clock: Clock) -> None:
    holds = "SELECT l.id FROM public.cost_tracking AS l WHERE l.cost = 3 ORDER BY l.created_at LIMIT 2"
    late, extended = (row.id for row in rows(hours, holds))
    prune(hours)
    call(hours, "settle", late, 7)
    assert ("hourly", "03 12") in windows(hours, "postings")
    expect(call(hours, "extend", extended, 9), can_proceed=False, budget="hourly", current_total=5, remaining=5)
    expect(call(hours, "extend", extended, 8), can_proceed=True)
    assert ("hourly", "03 13") in windows(hours)
    assert drift(hours) == []
    # A decision in the first hour, as one that began then and waited, finds the late settle.
    clock.set(NOON)
    expect(call(hours, "reserve", 2, "svc"), can_proceed=False, budget="hourly", current_total=9)
    assert drift(hours) == []


def test_postings_that_nobody_will_ask_for_go_with_the_window(hours: Connection) -> None:
    prune(hours)
    spend(hours, 1, at=NOON)
    assert ("hourly", "03 12") in windows(hours, "postings")
    prune(hours)
    assert ("hourly", "03 12") not in windows(hours, "postings") | windows(hours)
    assert drift(hours) == []


def test_pruned_members_are_opened_again_from_the_ledger(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 10, "team", period="hour", slots=3)
    reserve(tx, 4, p_metadata={"team": "alpha"})
    clock.advance(hours=1)
    assert prune(tx) == 1
    clock.set(NOON)
    expect(call(tx, "reserve", 7, "svc", {"team": "alpha"}), can_proceed=False, budget="team", current_total=4)
    expect(call(tx, "reserve", 6, "svc", {"team": "alpha"}), can_proceed=True)


def test_an_admin_may(tx: Connection) -> None:
    tx.execute("SET LOCAL ROLE budget_admin")
    assert call_as_owner(tx, "prune", None).prune == 0
    assert one(tx, "SELECT budget.prune() AS pruned").pruned == 0


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("is_open", [False, True])
def test_what_nobody_reserves_from_is_folded(tx: Connection, clock: Clock, slots: int, is_open: bool) -> None:
    set_budget(tx, "team", 10, "team", slots=slots)
    if is_open:
        reserve(tx, 1, p_metadata={"team": "alpha"})
    for _ in range(3):
        spend(tx, 2, metadata={"team": "alpha"})
    assert windows(tx, "postings")
    prune(tx)
    assert windows(tx, "postings") == set()
    assert members(tx, "team") == {"alpha": 6 + is_open}
    assert drift(tx) == []
    expect(call(tx, "reserve", 5, "svc", {"team": "alpha"}), can_proceed=False, budget="team")
    expect(call(tx, "reserve", 3, "svc", {"team": "alpha"}), can_proceed=True)
