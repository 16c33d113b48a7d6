"""Requests that belong to several budgets: all must have room, and the verdict names the one that refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.budgets.standing import call_as_owner, drift, members, set_budget, standing
from tests.clock import NOON, Clock, utc
from tests.rows import Connection, as_owner, call, escalations, expect, ledger_size, reserve, rows, spend

ADA: dict[str, object] = {"team": "alpha", "user": "ada"}
BOB: dict[str, object] = {"team": "alpha", "user": "bob"}


@pytest.fixture(params=[1, 3], ids=["one slot", "slots"])
def three(request: pytest.FixtureRequest, caller: Connection, clock: Clock) -> Iterator[Connection]:
    """A limit of the day, of each team's month and of each user's hour."""
    slots: int = request.param
    call_as_owner(caller, "set_budget", "daily", None, p_slots=slots)
    set_budget(caller, "team", 50, "team", period="month", slots=slots)
    set_budget(caller, "user", 20, "user", period="hour")
    yield caller
    assert drift(caller) == []


REFUSALS: list[tuple[str, dict[str, int], dict[str, Any]]] = [
    (
        "the day",
        {"else": 95},
        {"budget": "daily", "limit_amount": 100, "current_total": 95, "remaining": 5, "resets_at": utc("2025-10-04")},
    ),
    (
        "the team",
        {"bob": 45},
        {"budget": "team", "limit_amount": 50, "current_total": 45, "remaining": 5, "resets_at": utc("2025-11-01")},
    ),
    (
        "the user",
        {"ada": 15},
        {
            "budget": "user",
            "limit_amount": 20,
            "current_total": 15,
            "remaining": 5,
            "resets_at": utc("2025-10-03 13:00"),
        },
    ),
    ("day and team: the one that takes longest", {"else": 50, "bob": 45}, {"budget": "team"}),
    ("day and user: the one that takes longest", {"else": 80, "ada": 15}, {"budget": "daily"}),
    ("all of them: the one that takes longest", {"else": 50, "bob": 30, "ada": 15}, {"budget": "team"}),
]


@pytest.mark.parametrize(
    ("what", "spent", "verdict"), REFUSALS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_budget_that_refused_is_named(
    three: Connection, what: str, spent: dict[str, int], verdict: dict[str, Any]
) -> None:
    for who, cost in spent.items():
        spend(three, cost, metadata={} if who == "else" else {"team": "alpha", "user": who})
    before = ledger_size(three)
    for function in ("check", "reserve", "reserve_advisory"):
        refused = call(three, function, 6, "svc", ADA)
        expect(
            refused, can_proceed=False, reason="exhausted", retry_at=refused.resets_at, reservation_id=None, **verdict
        )
    assert ledger_size(three) == before
    with as_owner(three):
        kept = [e.reason for e in escalations(three) if e.kind == "budget_refused"]
    limit = {
        "daily": "Daily budget limit",
        "team": "Budget team, member alpha",
        "user": "Budget user, member ada",
    }[verdict["budget"]]
    assert [reason.partition(" (")[0] for reason in kept] == [f"{limit}: svc was refused"]


def test_what_fits_all_is_counted_by_all(three: Connection) -> None:
    expect(call(three, "reserve", 20, "svc", ADA), can_proceed=True, budget="daily", limit_amount=100, current_total=0)
    assert (members(three, "daily"), members(three, "team"), members(three, "user")) == (
        {"*": 20},
        {"alpha": 20},
        {"ada": 20},
    )
    expect(call(three, "reserve", 1, "svc", ADA), can_proceed=False, budget="user")
    expect(call(three, "reserve", 20, "svc", BOB), can_proceed=True)
    # Ten are left to the team, of which nobody else has used any of his own.
    expect(call(three, "reserve", 11, "svc", {**ADA, "user": "eve"}), can_proceed=False, budget="team", remaining=10)
    expect(call(three, "reserve", 10, "svc", {**ADA, "user": "eve"}), can_proceed=True)


def test_a_refusal_takes_nothing_of_those_that_had_room(three: Connection) -> None:
    spend(three, 15, metadata=ADA)
    for _ in range(5):
        expect(call(three, "reserve", 6, "svc", ADA), can_proceed=False, budget="user")
    assert (members(three, "daily"), members(three, "team")) == ({"*": 15}, {"alpha": 15})
    expect(call(three, "reserve", 35, "svc", {"team": "alpha"}), can_proceed=True)


def test_more_than_the_limit_of_one_is_too_large(three: Connection) -> None:
    expect(call(three, "reserve", 21, "svc", ADA), can_proceed=False, budget="user", reason="too_large", retry_at=None)


def test_an_extend_asks_them_all(three: Connection) -> None:
    held = reserve(three, 10, p_metadata=ADA)
    spend(three, 5, metadata=ADA)
    spend(three, 33, metadata=BOB)
    expect(call(three, "extend", held, 16), can_proceed=False, budget="team", current_total=48, remaining=2)
    expect(call(three, "extend", held, 12), can_proceed=True, budget="daily")
    assert members(three, "user") == {"ada": 17, "bob": 33}
    expect(call(three, "extend", held, 12, p_ttl=timedelta(hours=2)), can_proceed=True)


def test_the_lapse_that_frees_enough_is_looked_for_in_the_budget_that_refused(three: Connection) -> None:
    reserve(three, 19, p_metadata=BOB, p_ttl=timedelta(minutes=1))
    reserve(three, 12, p_metadata=ADA, p_ttl=timedelta(minutes=7))
    expect(
        call(three, "reserve", 10, "svc", ADA),
        can_proceed=False,
        budget="user",
        reason="in_flight",
        retry_at=NOON + timedelta(minutes=7),
    )


def test_an_exempt_service_passes_them_all_and_is_counted(three: Connection) -> None:
    reserve(three, 60, "architect", p_metadata=ADA)
    assert members(three, "user") == {"ada": 60}
    expect(call(three, "reserve", 1, "svc", ADA), can_proceed=False)


def test_a_replay_is_not_counted_again(three: Connection) -> None:
    held = reserve(three, 15, p_metadata=ADA)
    verdict = call(three, "reserve", 15, "test", ADA, p_reservation_id=held)
    expect(verdict, can_proceed=True, reason="replayed")
    assert members(three, "user") == {"ada": 15}


def test_who_asks_for_nothing_is_refused_by_the_day_alone(three: Connection) -> None:
    spend(three, 30, metadata=ADA)
    expect(call(three, "reserve", 0, "svc", ADA), can_proceed=True)
    spend(three, 90)
    expect(call(three, "reserve", 0, "svc", ADA), can_proceed=False, budget="daily")


# Warnings


def test_a_budget_that_warns_refuses_nothing_and_escalates(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team", enforcement="warn")
    held = reserve(caller, 15, p_metadata=ADA)
    expect(standing(caller, "team", "alpha"), enforcement="warn", held=15, remaining=-5)
    [(severity, reason, context)] = thresholds(caller)
    assert severity == "critical"
    assert "Budget team, member alpha, has reached 10" in reason
    assert {key: context[key] for key in ("budget", "member", "threshold", "current_total", "limit_amount")} == {
        "budget": "team",
        "member": "alpha",
        "threshold": "10",
        "current_total": "15",
        "limit_amount": "10",
    }
    expect(call(caller, "extend", held, 30), can_proceed=True)
    expect(call(caller, "reserve", 2, "svc", {"team": "beta"}), can_proceed=True)
    assert len(thresholds(caller)) == 1


def test_soft_limits_escalate_once_for_a_window_and_member(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team", period="hour", soft_limits=[5, 8])

    def reached() -> list[tuple[str, str, str]]:
        return [(c["member"], c["threshold"], severity) for severity, _, c in thresholds(caller)]

    reserve(caller, 4, p_metadata=ADA)
    assert reached() == []
    reserve(caller, 1, p_metadata=ADA)
    assert reached() == [("alpha", "5", "warning")]
    reserve(caller, 2, p_metadata=ADA)
    spend(caller, 6, metadata={"team": "beta"})
    assert sorted(reached()) == [("alpha", "5", "warning"), ("beta", "5", "warning")]
    spend(caller, 3, metadata=ADA)
    assert sorted(reached()) == [
        ("alpha", "10", "critical"),
        ("alpha", "5", "warning"),
        ("alpha", "8", "warning"),
        ("beta", "5", "warning"),
    ]
    clock.advance(hours=1)
    reserve(caller, 5, p_metadata=ADA)
    assert sorted(reached()).count(("alpha", "5", "warning")) == 2


def test_what_has_lapsed_reaches_no_threshold(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team", soft_limits=[5])
    reserve(caller, 4, p_metadata=ADA, p_ttl="1 minute")
    clock.advance(minutes=1)
    spend(caller, 1, metadata=ADA)
    assert thresholds(caller) == []
    spend(caller, 4, metadata=ADA)
    assert len(thresholds(caller)) == 1


def test_an_inactive_budget_is_silent(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team", soft_limits=[1], active=False)
    spend(caller, 20, metadata=ADA)
    assert thresholds(caller) == []


def thresholds(connection: Connection) -> list[tuple[str, str, dict[str, str]]]:
    with as_owner(connection):
        return [
            (row.severity, row.reason, row.context)
            for row in rows(
                connection,
                """SELECT e.context ->> 'severity' AS severity, e.reason, e.context
                     FROM public.escalations AS e WHERE e.trigger_type = 'budget_threshold'""",
            )
        ]
