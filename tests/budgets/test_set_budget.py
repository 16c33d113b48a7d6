"""budget.set_budget and budget.drop_budget: arguments, faults, and what a change does to the window that runs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.budgets.standing import call_as_owner, drift, members, set_budget, standing
from tests.clock import NOON, Clock, utc
from tests.conftest import Connect
from tests.pgtap import function_args_are, function_privs_are, function_returns, is_definer, throws_ok, volatility_is
from tests.rows import (
    Connection,
    as_owner,
    call,
    configure,
    escalations,
    expect,
    failing,
    fails,
    one,
    reserve,
    rows,
    spend,
)

SET_BUDGET = (
    "budget.set_budget(text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, "
    "timestamp with time zone)"
)


def test_signatures(tx: Connection) -> None:
    function_args_are(
        tx,
        SET_BUDGET,
        "p_name text, p_limit numeric, p_dimension text DEFAULT '*'::text, p_member text DEFAULT NULL::text, "
        "p_period text DEFAULT 'day'::text, p_timezone text DEFAULT NULL::text, "
        "p_soft_limits numeric[] DEFAULT '{}'::numeric[], p_enforcement text DEFAULT 'block'::text, "
        "p_active boolean DEFAULT true, p_slots integer DEFAULT 1, p_extra numeric DEFAULT NULL::numeric, "
        "p_until timestamp with time zone DEFAULT NULL::timestamp with time zone",
    )
    for function in (SET_BUDGET, "budget.drop_budget(text)"):
        function_returns(tx, function, "SETOF budget.budgets")
    for function in (
        SET_BUDGET,
        "budget.drop_budget(text)",
        "budget.reconcile()",
        "budget.prune(timestamp with time zone)",
    ):
        is_definer(tx, function)
        volatility_is(tx, function, "volatile")
        for role, may in {"budget_admin": ["EXECUTE"], "budget_caller": [], "budget_reader": [], "app": []}.items():
            function_privs_are(tx, function, role, may)


def test_an_admin_needs_no_other_right_and_a_caller_may_not(tx: Connection) -> None:
    tx.execute("SET LOCAL ROLE budget_admin")
    assert call(tx, "set_budget", "team", 5, "team").name == "team"
    assert call(tx, "drop_budget", "team").name == "team"
    tx.execute("SET LOCAL ROLE app")
    throws_ok(tx, "SELECT budget.set_budget('team', 5)", None, "42501")
    throws_ok(tx, "SELECT budget.drop_budget('daily')", None, "42501")


def test_it_answers_with_the_budget_as_it_is_kept(tx: Connection) -> None:
    expect(
        set_budget(tx, "all", "2.5"),
        name="all",
        dimension="*",
        member="*",
        period="day",
        limit_amount=Decimal("2.5"),
        timezone=None,
        soft_limits=[],
        enforcement="block",
        is_active=True,
        slots=1,
        extra=None,
        extra_until=None,
    )
    expect(
        set_budget(
            tx,
            "alpha",
            7,
            "team",
            member="alpha",
            period="month",
            timezone="Europe/Berlin",
            soft_limits=[Decimal(3), Decimal("5.5")],
            enforcement="warn",
            active=False,
            slots=4,
            extra=2,
            until=NOON,
        ),
        member="alpha",
        period="month",
        timezone="Europe/Berlin",
        soft_limits=[Decimal(3), Decimal("5.5")],
        enforcement="warn",
        is_active=False,
        slots=4,
        extra=2,
        extra_until=NOON,
    )


def test_it_replaces_the_whole(tx: Connection) -> None:
    """What is not given has its default again."""
    set_budget(tx, "alpha", 7, "team", period="month", soft_limits=[3], slots=4)
    expect(set_budget(tx, "alpha", 8), dimension="*", period="day", soft_limits=[], slots=1)


FAULTS: list[tuple[tuple[Any, ...], dict[str, Any], str, str]] = [
    ((None, 1), {}, "22023", "p_name must"),
    (("", 1), {}, "22023", "p_name must"),
    (("n" * 101, 1), {}, "22023", "p_name must"),
    (("b", None), {}, "22023", "p_limit"),
    (("b", -1), {}, "22003", "p_limit"),
    (("b", "NaN"), {}, "22003", "p_limit"),
    (("b", "Infinity"), {}, "22003", "p_limit"),
    (("b", 10**15), {}, "22003", "p_limit"),
    (("b", 1, None), {}, "22023", "p_dimension must"),
    (("b", 1, ""), {}, "22023", "p_dimension must"),
    (("b", 1, "d" * 101), {}, "22023", "p_dimension must"),
    (("b", 1, "team", ""), {}, "22023", "p_member must"),
    (("b", 1, "team", "m" * 201), {}, "22023", "p_member must"),
    (("b", 1, "*", "alpha"), {}, "22023", "no members"),
    (("b", 1), {"p_period": "year"}, "22023", "p_period must"),
    (("b", 1), {"p_period": None}, "22023", "p_period must"),
    (("b", 1), {"p_enforcement": "ask"}, "22023", "p_enforcement must"),
    (("b", 1), {"p_enforcement": None}, "22023", "p_enforcement must"),
    (("b", 1), {"p_active": None}, "22023", "p_active must"),
    (("b", 1), {"p_slots": 0}, "22023", "p_slots must"),
    (("b", 1), {"p_slots": 65}, "22023", "p_slots must"),
    (("b", 1), {"p_slots": None}, "22023", "p_slots must"),
    (("b", 1), {"p_timezone": "Mars"}, "22023", "knows no time zone named Mars"),
    (("b", 1), {"p_timezone": "UTC+3"}, "22023", "knows no time zone named UTC"),
    (("b", 1), {"p_soft_limits": [-1]}, "22003", "p_soft_limits"),
    (("b", 1), {"p_soft_limits": [None]}, "22023", "p_soft_limits"),
    (("b", 1), {"p_extra": 1}, "22023", "both p_extra and p_until"),
    (("b", 1), {"p_until": NOON}, "22023", "both p_extra and p_until"),
    (("b", 1), {"p_extra": -1, "p_until": NOON}, "22003", "p_extra"),
    (("b", 1), {"p_extra": 1, "p_until": "infinity"}, "22023", "p_until must be an instant"),
    (("daily", 1), {}, "22023", "budget.set_limits sets its limit"),
    (("daily", None), {"p_period": "hour"}, "22023", "the slots alone"),
    (("daily", None), {"p_timezone": "UTC"}, "22023", "the slots alone"),
    (("daily", None), {"p_active": False}, "22023", "the slots alone"),
    (("daily", None), {"p_enforcement": "warn"}, "22023", "the slots alone"),
    (("daily", None, "team"), {}, "22023", "the slots alone"),
    (("daily", None), {"p_soft_limits": [1]}, "22023", "the slots alone"),
    (("daily", None), {"p_extra": 1, "p_until": NOON}, "22023", "the slots alone"),
]


@pytest.mark.parametrize(("args", "named", "sqlstate", "says"), FAULTS, ids=lambda value: str(value)[:40])
def test_a_fault_is_told_and_changes_nothing(
    tx: Connection, args: tuple[Any, ...], named: dict[str, Any], sqlstate: str, says: str
) -> None:
    before = rows(tx, "SELECT * FROM budget.budgets")
    assert says in fails(tx, sqlstate, "set_budget", *args, **named).message_primary
    assert rows(tx, "SELECT * FROM budget.budgets") == before


@pytest.mark.parametrize("name", [None, "", "nobody", "daily"])
def test_only_what_is_there_can_be_dropped_and_never_the_day(tx: Connection, name: str | None) -> None:
    fails(tx, "22023", "drop_budget", name)


@pytest.mark.parametrize("function", ["set_budget('b', 1)", "drop_budget('b')", "reconcile()", "prune(NULL)"])
def test_it_decides_at_read_committed_alone(connect: Connect, function: str) -> None:
    db = connect(autocommit=False)
    db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    throws_ok(db, f"SELECT * FROM budget.{function}", None, "PB001", "READ COMMITTED")


def test_broken_limits_have_no_zone_and_so_no_window(tx: Connection) -> None:
    configure(tx, "{}")
    fails(tx, "PB005", "set_budget", "b", 1)


@pytest.mark.parametrize("function", ["set_budget('b', 1)", "drop_budget('b')", "reconcile()", "prune(NULL)"])
def test_it_does_not_wait_for_ever_for_writers_of_the_ledger(connect: Connect, function: str) -> None:
    db = connect()
    if "drop" in function:
        db.execute("SELECT budget.set_budget('b', 1)")
    writer = connect(autocommit=False)
    spend(writer, 1)
    db.execute("SET lock_timeout = '50ms'")
    with failing(db, "55P03"):
        db.execute(f"SELECT * FROM budget.{function}".encode())
    assert one(db, "SHOW lock_timeout").lock_timeout == "50ms"


@pytest.mark.parametrize("function", ["set_budget('new', 1)", "drop_budget('old')", "prune()"])
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_writer_with_an_older_snapshot_repeats(connect: Connect, function: str, level: str) -> None:
    """It would not see the budget that it has to post to, or see one that is gone."""
    db, writer = connect(), connect(autocommit=False)
    set_budget(db, "old", 100)
    writer.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
    writer.execute("SELECT FROM public.cost_tracking")
    db.execute(f"SELECT budget.{function}".encode())
    with pytest.raises(psycopg.errors.SerializationFailure):
        spend(writer, 1)
    writer.rollback()
    spend(writer, 1)
    writer.commit()
    assert drift(db) == []
    assert (
        rows(db, "SELECT FROM budget.postings AS p WHERE p.budget NOT IN (SELECT b.name FROM budget.budgets AS b)")
        == []
    )


def test_what_was_changed_is_kept(tx: Connection) -> None:
    set_budget(tx, "b", 1)
    set_budget(tx, "b", 2)
    call(tx, "drop_budget", "b")
    with_old = [(e.kind, e.severity, e.status, e.context["old"] is None) for e in escalations(tx)]
    assert with_old == [
        ("budget_changed", "info", "resolved", True),
        ("budget_changed", "info", "resolved", False),
        ("budget_dropped", "info", "resolved", False),
    ]


# In the middle of a window


def test_a_new_budget_counts_what_its_window_has_already(caller: Connection, clock: Clock) -> None:
    spend(caller, 3, metadata={"team": "alpha"})
    spend(caller, 9, metadata={"team": "alpha"}, at=NOON - timedelta(days=1))
    spend(caller, 5, metadata={"team": "beta"})
    reserve(caller, 4, p_metadata={"team": "alpha"})
    clock.advance(minutes=1)
    set_budget(caller, "team", 10, "team")
    assert members(caller, "team") == {"alpha": 7, "beta": 5}
    expect(call(caller, "reserve", 4, "svc", {"team": "alpha"}), can_proceed=False, budget="team", current_total=7)
    assert call(caller, "reserve", 3, "svc", {"team": "alpha"}).can_proceed


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({"dimension": "service"}, {"test": 4, "direct": 8}),
        ({"dimension": "team", "member": "alpha"}, {"alpha": 7}),
        ({"dimension": "team", "period": "month"}, {"alpha": 16, "beta": 5}),
        ({"dimension": "team", "slots": 5}, {"alpha": 7, "beta": 5}),
        ({"dimension": "*", "period": "total"}, {"*": 21}),
        ({"dimension": "*", "timezone": "Asia/Tokyo"}, {"*": 12}),
    ],
    ids=str,
)
def test_a_changed_budget_counts_what_its_window_has_already(
    caller: Connection, clock: Clock, changed: dict[str, Any], counts: dict[str, int]
) -> None:
    set_budget(caller, "team", 100, "team")
    spend(caller, 9, metadata={"team": "alpha"}, at=NOON - timedelta(days=1))
    spend(caller, 3, metadata={"team": "alpha"})
    spend(caller, 5, metadata={"team": "beta"})
    reserve(caller, 4, p_metadata={"team": "alpha"})
    set_budget(caller, "team", 100, **changed)
    assert members(caller, "team") == counts


def test_a_lowered_limit_refuses_at_once_and_takes_nothing_back(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "all", 10)
    held = reserve(caller, 8)
    set_budget(caller, "all", 5)
    expect(call(caller, "reserve", 1, "svc"), can_proceed=False, budget="all", limit_amount=5, remaining=-3)
    assert call(caller, "settle", held, 8).status == "actual"


@pytest.mark.parametrize("slots", [1, 4])
def test_an_inactive_budget_refuses_nothing_and_counts_nothing(caller: Connection, clock: Clock, slots: int) -> None:
    set_budget(caller, "all", 10, slots=slots)
    reserve(caller, 8)
    set_budget(caller, "all", 10, slots=slots, active=False)
    reserve(caller, 50)
    expect(standing(caller, "all"), is_active=False, spent=0, held=0)
    assert drift(caller) == []
    set_budget(caller, "all", 10, slots=slots)
    expect(standing(caller, "all"), is_active=True, held=58, remaining=-48)
    expect(call(caller, "reserve", 1, "svc"), can_proceed=False, budget="all")


def test_a_dropped_budget_limits_nobody_and_leaves_nothing_behind(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "all", 10, slots=3)
    reserve(caller, 8)
    call_as_owner(caller, "drop_budget", "all")
    with as_owner(caller):
        for table in ("balances", "postings"):
            assert rows(caller, f"SELECT FROM budget.{table} AS t WHERE t.budget = 'all'") == []
    assert call(caller, "reserve", 50, "svc").can_proceed


# The budget `daily`


def test_the_limit_of_the_day_is_that_of_the_limits_at_once(caller: Connection, clock: Clock) -> None:
    with_slots = call_as_owner(caller, "set_budget", "daily", None, p_slots=4)
    expect(with_slots, name="daily", slots=4, limit_amount=None)
    reserve(caller, 90)
    expect(standing(caller, "daily"), limit_amount=100, held=90, remaining=10, resets_at=utc("2025-10-04"))
    call_as_owner(caller, "set_limits", {"emergency_kill": 120})
    expect(standing(caller, "daily"), limit_amount=120, remaining=30)
    assert call(caller, "reserve", 30, "svc").can_proceed
    call_as_owner(caller, "set_limits", {"emergency_kill": 100})
    expect(call(caller, "reserve", 1, "svc"), can_proceed=False, budget="daily", limit_amount=100, remaining=-20)


def test_the_day_follows_the_zone_of_the_limits(caller: Connection, clock: Clock) -> None:
    reserve(caller, 90)
    call_as_owner(caller, "set_limits", {"timezone": "Asia/Tokyo"})
    clock.set("2025-10-03 16:00")
    expect(call(caller, "reserve", 20, "svc"), can_proceed=True, resets_at=utc("2025-10-04 15:00"))
