"""Who was told is told once a window, and no two refusals share one alert.

BerriAI/litellm#3738, #3113: alerts of month, week and total budgets were repeated every day. And a refusal of service
`svc-x` by `team` had the key of a service named `svc-x in team`, so that one of the two was never written.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

import pgbudget
from tests.clock import Clock
from tests.rows import Connection, call, rows, spend

TEAM: dict[str, object] = {"team": "a"}


@pytest.fixture
def db(budgets: Connection) -> Connection:
    return budgets


def told(db: Connection, kind: str) -> list[tuple[str | None, ...]]:
    return [
        (row.service, row.budget, row.member, row.reason.partition(" (")[0])
        for row in rows(
            db,
            """SELECT e.context ->> 'service_name' AS service, e.context ->> 'budget' AS budget,
                      e.context ->> 'member' AS member, e.reason
               FROM public.escalations AS e WHERE e.trigger_type = %s ORDER BY e.context ->> 'day', 1, 2, 3""",
            kind,
        )
    ]


@pytest.mark.parametrize(("period", "times"), [("day", 10), ("week", 3), ("month", 2), ("total", 1)])
def test_a_threshold_is_told_once_a_window(db: Connection, period: str, times: int) -> None:
    clock = Clock(db)
    clock.set("2031-05-24 12:00")  # a Saturday
    call(db, "set_budget", "team", 50, "team", p_period=period, p_soft_limits=[1])
    for _ in range(10):
        spend(db, 2, metadata=TEAM, at=clock.now)
        spend(db, "0.5", metadata=TEAM, at=clock.now)
        clock.advance(days=1)
    assert len(told(db, "budget_threshold")) == times
    call(db, "set_budget", "team", 50, "team", p_period=period, p_soft_limits=["1.00"])
    spend(db, 1, metadata=TEAM, at=clock.now - timedelta(days=1))
    assert len(told(db, "budget_threshold")) == times


def test_refusals_are_told_apart(db: Connection) -> None:
    """By service, budget and member, whatever word stands in them."""
    call(db, "set_budget", "team", 1, "team")
    call(db, "set_budget", "user", 1, "user")
    asked: list[tuple[str, dict[str, object]]] = [
        ("svc", {"team": "a"}),
        ("svc", {"team": "b"}),
        ("svc", {"user": "a"}),
        ("svc in team", {"user": "a"}),
        ("svc, team", {"team": "a"}),
        ("svc", {"team": "team, a"}),
        ('svc", "team', {"team": "a"}),
    ]
    for _ in range(2):
        for service, request in asked:
            assert not call(db, "reserve", 2, service, request).can_proceed
            assert not call(db, "reserve", 200, service).can_proceed
    found = told(db, "budget_refused")
    assert sorted(found) == sorted(
        [
            (service, budget, member, f"Budget {budget}, member {member}: {service} was refused")
            for service, request in asked
            for budget, member in request.items()
        ]
        + [(service, "daily", "*", f"Daily budget limit: {service} was refused") for service in {s for s, _ in asked}]
    )


def test_the_first_refusal_of_each_budget_is_told_also_after_a_thousand(db: Connection) -> None:
    for budget in ("team", "user"):
        call(db, "set_budget", budget, 1, budget)
    rows(db, "SELECT budget.reserve(200, 'svc ' || n) FROM generate_series(1, 1000) AS n")
    asked: list[dict[str, object]] = [TEAM, {"team": "b"}, {"user": "a"}, {"user": "b"}]
    for request in asked * 2:
        assert not call(db, "reserve", 2, "svc", request).can_proceed
    found = [row for row in told(db, "budget_refused") if row[1] != "daily"]
    assert [row[:3] for row in found] == [("svc", "team", "a"), ("svc", "user", "a"), (None, None, None)]
    assert len(told(db, "budget_refused")) == 1003


def test_an_extend_names_the_member_too(db: Connection) -> None:
    call(db, "set_budget", "team", 5, "team")
    hold = call(db, "reserve", 1, "svc", TEAM).reservation_id
    assert not call(db, "extend", hold, 6).can_proceed
    assert told(db, "budget_refused") == [("svc", "team", "a", "Budget team, member a: svc was refused")]


def test_one_statement_tells_of_a_hundred_members(db: Connection) -> None:
    """And what it leaves is told when those members are written next."""
    call(db, "set_budget", "team", 1, "team")
    load = """INSERT INTO public.cost_tracking (service_name, cost, metadata)
              SELECT 'load', 1, jsonb_build_object('team', n::text) FROM generate_series(1, 250) AS n"""
    for count in (100, 200, 250, 250):
        db.execute(load.encode())
        assert len(told(db, "budget_threshold")) == count


def test_the_driver_says_which_budget_it_was(db: Connection) -> None:
    call(db, "set_budget", "team", 1, "team")
    with (
        pytest.raises(pgbudget.Refused, match="refused by budget team: too_large"),
        pgbudget.Budget(db).hold(2, "svc", TEAM),
    ):
        pass
