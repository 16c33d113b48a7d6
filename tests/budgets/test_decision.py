"""What no other file asks of the locks of decisions, of the room in slots, and of what waits to be folded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.budgets.batches import Element, reserve_many
from tests.budgets.slots import in_every_slot
from tests.budgets.standing import drift, members, set_budget
from tests.clock import NOON, Clock
from tests.concurrency.sessions import Session
from tests.race import Connection, Job
from tests.rows import as_owner, call, configure, escalations, expect, reserve, rows, spend, value

Open = Callable[[], Session]

DECISIONS = 8099550711184319860


@pytest.fixture
def day(db: Connection) -> Connection:
    """A limit of 90 on a day that stands still, from two slots that have half of it each."""
    Clock(db)
    configure(db, {"emergency_kill": 90})
    call(db, "set_budget", "daily", None, p_slots=2)
    spread(db, 45, 45)
    return db


def spread(db: Connection, *amounts: int, budget: str = "daily", limit: int = 90) -> None:
    """Let the slots of a budget have room for so much each."""
    reserve(db, 0)
    db.execute("UPDATE budget.balances SET room = 0, room_of = %s WHERE budget = %s AND slot = 0", [limit, budget])
    for slot, amount in enumerate(amounts, 1):
        db.execute("UPDATE budget.balances SET room = %s WHERE budget = %s AND slot = %s", [amount, budget, slot])
    assert drift(db) == []


def reserving(cost: int, **request: object) -> Job[bool]:
    return lambda connection: bool(call(connection, "reserve", cost, "svc", request).can_proceed)


def in_a_batch(*costs: int) -> Job[list[bool]]:
    requests = [{"estimated_cost": cost, "service_name": "svc"} for cost in costs]
    return lambda connection: [verdict.can_proceed for verdict in reserve_many(connection, requests)]


def waiting(db: Connection, budget: str = "daily") -> list[Decimal]:
    """The postings to a budget that are not folded, the smallest first."""
    query = "SELECT o.amount FROM budget.postings AS o WHERE o.budget = %s ORDER BY o.amount"
    with as_owner(db):
        return [row.amount for row in rows(db, query, budget)]


# ----------------------------------------------------------------------------------------------------------- locks


def test_a_decision_of_core_that_is_under_way_is_waited_for(day: Connection, session: Open) -> None:
    holder, other = session(), session()
    with holder.open(lambda connection: connection.execute("SELECT pg_advisory_xact_lock(%s)", [DECISIONS])):
        decision = other.start(reserving(1))
        decision.waits_for(holder)
    assert decision.result()


def of_users(count: int) -> list[Element]:
    return [{"estimated_cost": "0.01", "service_name": "svc", "metadata": {"user": f"u{n}"}} for n in range(count)]


def test_a_batch_of_very_many_balances_waits_for_every_decision(day: Connection, session: Open) -> None:
    set_budget(day, "user", 5, "user")
    holder, other = session(), session()
    with holder.open(reserving(1)):
        batch = other.start(lambda connection: reserve_many(connection, of_users(300)))
        batch.waits_for(holder)
    assert all(verdict.can_proceed for verdict in batch.result())


@pytest.mark.parametrize(("users", "locks"), [(200, 202), (300, 1)])
def test_a_batch_of_very_many_balances_has_few_locks(tx: Connection, clock: Clock, users: int, locks: int) -> None:
    set_budget(tx, "user", 5, "user")
    reserve_many(tx, of_users(users))
    query = """SELECT count(DISTINCT (k.classid, k.objid)) FROM pg_locks AS k
                WHERE k.locktype = 'advisory' AND k.objsubid = 1 AND k.pid = pg_backend_pid()"""
    assert value(tx, query) == locks


def test_a_budget_that_is_being_set_is_waited_for(day: Connection, session: Open) -> None:
    admin, other = session(), session()
    with admin.open(lambda connection: set_budget(connection, "b", 5)):
        decision = other.start(reserving(10))
        decision.waits_for(admin)
    assert not decision.result()


def test_two_that_are_short_at_once_are_no_deadlock(day: Connection, session: Open) -> None:
    call(day, "set_budget", "daily", None, p_slots=3)
    spread(day, 30, 30, 30)
    holder, first, second = in_every_slot(session, 3)
    with holder.open(reserving(1)):
        decisions = [first.start(reserving(40)), second.start(reserving(40))]
        for decision in decisions:
            decision.waits_for(holder)
    assert [decision.result() for decision in decisions] == [True, True]


def test_members_have_nothing_to_do_with_each_other(day: Connection, session: Open) -> None:
    """Neither by their locks nor by what they have spent, folded or not."""
    set_budget(day, "user", 30, "user")
    for cost in (10, 0, 10):
        reserve(day, cost, p_metadata={"user": "ada"})
    first, second = in_every_slot(session, 2)
    with first.open(reserving(10, user="ada")) as granted:
        decision = second.start(reserving(25, user="bob"))
        assert not decision.stands(first)
        assert (granted, decision.result()) == (True, True)


def test_a_raise_that_ended_while_a_decision_waited_is_over(db: Connection, session: Open) -> None:
    clock = Clock(db)
    set_budget(db, "b", 10, extra=10, until=NOON + timedelta(minutes=1))
    first, second = session(), session()
    with first.open(reserving(5)):
        decision = second.start(reserving(10))
        decision.waits_for(first)
        clock.advance(minutes=1)
    assert not decision.result()


# ------------------------------------------------------------------------------------------------ room in the slots


def test_a_batch_needs_room_in_its_slot_for_all_of_it(day: Connection, session: Open) -> None:
    first, second = in_every_slot(session, 2)
    with first.open(reserving(40)) as granted:
        batch = second.start(in_a_batch(30, 30))
        batch.stands(first)
    assert (granted, batch.result()) == (True, [True, False])


def test_two_in_one_slot_wait_for_each_other_though_it_has_room_for_each(day: Connection, session: Open) -> None:
    holder, waiter = (in_every_slot(session, 2)[0] for _ in range(2))
    with holder.open(reserving(30)) as granted:
        decision = waiter.start(reserving(30))
        decision.waits_for(holder)
    assert (granted, decision.result()) == (True, True)


def test_a_balance_that_is_not_open_has_no_room_in_its_slots(db: Connection, session: Open) -> None:
    Clock(db)
    call(db, "set_budget", "daily", None, p_slots=2)
    first, second = in_every_slot(session, 2)
    with first.open(reserving(60)) as granted:
        decision = second.start(reserving(60))
        decision.stands(first)
    assert (granted, decision.result()) == (True, False)


def test_what_fits_exactly_needs_room_in_its_slot_too(day: Connection, session: Open) -> None:
    first, second = in_every_slot(session, 2)
    with first.open(reserving(90)) as granted:
        decision = second.start(reserving(90))
        decision.stands(first)
    assert (granted, decision.result()) == (True, False)


def test_a_budget_that_warns_says_nothing_of_the_room_of_others(day: Connection, session: Open) -> None:
    set_budget(day, "warns", 1, enforcement="warn", slots=2)
    first, second = in_every_slot(session, 2)
    with first.open(reserving(60)) as granted:
        decision = second.start(reserving(60))
        decision.stands(first)
    assert (granted, decision.result()) == (True, False)


def test_each_budget_is_asked_for_room_in_its_slot(day: Connection, session: Open) -> None:
    set_budget(day, "wide", 1000, slots=2)
    spread(day, 500, 500, budget="wide", limit=1000)
    first, second = in_every_slot(session, 2)
    with first.open(reserving(60)) as granted:
        decision = second.start(reserving(60))
        decision.stands(first)
    assert (granted, decision.result()) == (True, False)


def test_what_prune_has_folded_is_missing_from_every_slot(day: Connection, session: Open) -> None:
    """It is in slot 0, which has less room than none for it."""
    spend(day, 60)
    day.execute("SELECT budget.prune()")
    first, second = in_every_slot(session, 2)
    with first.open(reserving(20)) as granted:
        decision = second.start(reserving(20))
        decision.stands(first)
    assert (granted, decision.result()) == (True, False)


def test_what_another_slot_was_given_back_is_room_for_nobody_else(db: Connection, session: Open) -> None:
    """It was given back by one session, and each of two would have it."""
    Clock(db)
    configure(db, {"emergency_kill": 90})
    hold = reserve(db, 40)
    call(db, "set_budget", "daily", None, p_slots=2)
    spread(db, 25, 25)
    call(db, "cancel", hold)
    first, second = in_every_slot(session, 2)
    with first.open(reserving(60)) as granted:
        decision = second.start(reserving(60))
        decision.stands(first)
    assert (granted, decision.result()) == (True, False)


def state(db: Connection) -> tuple[list[Any], list[Any]]:
    """Amounts and room of the day's slots, that of slot 0 first."""
    found = rows(db, "SELECT b.amount, b.room FROM budget.balances AS b WHERE b.budget = 'daily' ORDER BY b.slot")
    return [row.amount for row in found], [row.room for row in found]


def test_all_room_is_spread_and_no_more(day: Connection, session: Open) -> None:
    """The slot that is short has what it needs, and its part of what is left."""
    call(day, "set_budget", "daily", None, p_slots=3)
    spread(day, 0, 0, 90)
    _, middle, last = in_every_slot(session, 3)
    last.do(lambda connection: spend(connection, 6))
    assert middle.do(reserving(30))
    assert state(day) == ([6, 0, 0, 0], [0, 18, 48, 18])
    assert waiting(day) == [30]
    assert drift(day) == []


def test_where_lapsed_holds_have_the_room_slot_0_has_what_is_missing(db: Connection) -> None:
    clock = Clock(db)
    configure(db, {"emergency_kill": 90})
    call(db, "set_budget", "daily", None, p_slots=3)
    reserve(db, 80, p_ttl="1 minute")
    clock.advance(minutes=1)
    for cost in (90, 0):
        reserve(db, cost)
    assert state(db) == ([170, 0, 0, 0], [-80, 0, 0, 0])
    assert drift(db) == []


# ------------------------------------------------------------------------------------------ what waits to be folded


def test_some_postings_wait_and_never_many(tx: Connection, clock: Clock) -> None:
    most = []
    for _ in range(40):
        reserve(tx, 1)
        most.append(len(waiting(tx)))
    assert 2 <= max(most) <= 17
    assert members(tx, "daily") == {"*": 40}
    assert drift(tx) == []


def test_each_slot_folds_its_own(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 1000, "team", slots=2)
    reserve(tx, 0, p_metadata={"team": "alpha"})
    for cost in (1, 2, 2, 2, *[1] * 19):
        spend(tx, cost, metadata={"team": "alpha"})
    tx.execute("UPDATE budget.postings SET slot = 3 - slot WHERE budget = 'team' AND amount = 2")
    tx.execute("UPDATE budget.balances SET room = 500 WHERE budget = 'team' AND slot > 0")
    reserve(tx, 0, p_metadata={"team": "alpha"})
    assert waiting(tx, "team") == [2, 2, 2]
    assert drift(tx) == []


def test_what_a_slot_has_no_room_for_stays_posted(tx: Connection, clock: Clock) -> None:
    """Of a budget that only warns no room is ever spread."""
    set_budget(tx, "warns", 10, enforcement="warn", slots=2)
    for _ in range(20):
        spend(tx, 1)
    reserve(tx, 0)
    assert waiting(tx, "warns") == [20]
    assert members(tx, "warns") == {"*": 20}
    assert drift(tx) == []


def test_who_comes_new_is_not_looked_for_in_the_ledger(tx: Connection, clock: Clock) -> None:
    """What was there when the budget was set is in its balances, and what came since is posted."""
    for _ in range(2):  # opens the day
        reserve(tx, 1)
    spend(tx, 3, metadata={"team": "alpha"})
    set_budget(tx, "team", 10, "team", period="month")
    spend(tx, 2, metadata={"team": "beta"})
    with tx.transaction(force_rollback=True):
        tx.execute(
            """CREATE OR REPLACE FUNCTION budget._ledger_sum(
                   p_dimension text, p_member text, p_starts_at timestamptz, p_ends_at timestamptz
               ) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN RAISE 'asked'; END $$"""
        )
        for team, total in (("alpha", 3), ("beta", 2), ("gamma", 0)):
            expect(call(tx, "reserve", 11, "svc", {"team": team}), budget="team", current_total=total)
            reserve(tx, 1, p_metadata={"team": team})


def test_a_pruned_window_is_opened_with_what_the_ledger_has(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 10, "team", period="hour")
    for cost in (4, 0):  # opens it
        reserve(tx, cost, p_metadata={"team": "alpha"})
    clock.advance(hours=1)
    assert value(tx, "SELECT budget.prune()") == 1
    clock.set(NOON)
    spend(tx, 2, metadata={"team": "alpha"})
    reserve(tx, 1, p_metadata={"team": "alpha"})
    assert rows(tx, "SELECT FROM budget.balances AS b WHERE b.budget = 'team'")
    assert members(tx, "team") == {"alpha": 7}
    assert drift(tx) == []


def test_a_balance_that_comes_to_nothing_is_pruned(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 10, "team", slots=2)
    hold = reserve(tx, 4, p_metadata={"team": "alpha"})
    reserve(tx, 3, p_metadata={"team": "beta"})
    call(tx, "cancel", hold)
    tx.execute("SELECT budget.prune()")
    query = "SELECT DISTINCT b.member FROM budget.balances AS b WHERE b.budget = 'team'"
    assert [row.member for row in rows(tx, query)] == ["beta"]
    assert members(tx, "team") == {"beta": 3}


def test_a_batch_counts_in_every_budget_what_it_was_granted_before(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 10, "team")
    request = {"estimated_cost": 6, "service_name": "svc", "metadata": {"team": "alpha"}}
    assert [verdict.can_proceed for verdict in reserve_many(tx, [request] * 2)] == [True, False]


def test_the_day_is_the_one_that_grants(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "all", 10)
    expect(call(tx, "reserve", 1, "svc"), can_proceed=True, budget="daily", limit_amount=100)
    expect(reserve_many(tx, [{"estimated_cost": 1, "service_name": "svc"}])[0], can_proceed=True, budget="daily")


# ---------------------------------------------------------------------------------------------------------- windows


def test_what_has_no_time_is_not_in_a_total_that_is_open(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "ever", 10, period="total")
    for _ in range(2):
        reserve(tx, 1)
    assert rows(tx, "SELECT FROM budget.balances AS b WHERE b.budget = 'ever'")
    for at in ("infinity", "-infinity"):
        tx.execute("INSERT INTO public.cost_tracking (service_name, cost, created_at) VALUES ('svc', 9, %s)", [at])
    assert members(tx, "ever") == {"*": 2}
    assert drift(tx) == []


def test_a_late_settle_counts_in_its_window_though_a_later_one_is_open(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "hourly", 10, period="hour")
    held = reserve(tx, 5, p_ttl=timedelta(hours=3))
    clock.advance(hours=1)
    for _ in range(2):
        reserve(tx, 1)
    call(tx, "settle", held, 9)
    assert members(tx, "hourly") == {"*": 2}
    clock.set(NOON)
    assert members(tx, "hourly") == {"*": 9}


def test_the_lapsed_hold_of_a_window_to_come_gives_no_room_now(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "hourly", 10, period="hour")
    spend(tx, 8)
    tx.execute(
        """INSERT INTO public.cost_tracking (service_name, cost, metadata, created_at, expires_at)
           VALUES ('svc', 6, '{"type": "reservation"}', %s, %s)""",
        [NOON + timedelta(hours=1), NOON + timedelta(minutes=1)],
    )
    clock.advance(minutes=1)
    expect(call(tx, "reserve", 3, "svc"), can_proceed=False, budget="hourly", current_total=8)


def test_what_is_posted_to_a_window_to_come_leaves_this_one_its_room(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "hourly", 10, period="hour")
    spend(tx, 9, at=NOON + timedelta(hours=1))
    for cost in (4, 6):
        reserve(tx, cost)
    clock.advance(hours=1)
    expect(call(tx, "reserve", 2, "svc"), can_proceed=False, budget="hourly", current_total=9)


def test_the_bounds_of_the_running_window_are_at_hand(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "hourly", 10, period="hour")
    for _ in range(2):
        for _ in range(2):
            reserve(tx, 1)
        clock.advance(hours=1)
    clock.advance(hours=-1)
    with tx.transaction(force_rollback=True):
        tx.execute(
            """CREATE OR REPLACE FUNCTION budget._window(
                   p_period text, p_at timestamptz, p_zone text, OUT starts_at timestamptz, OUT ends_at timestamptz
               ) LANGUAGE plpgsql AS $$ BEGIN RAISE 'computed'; END $$"""
        )
        reserve(tx, 1)


# ------------------------------------------------------------------------------------------------------- thresholds


def test_what_takes_the_place_of_a_lapsed_hold_reaches_a_threshold(tx: Connection, clock: Clock) -> None:
    """It is less than was held, and more than has counted since that lapsed."""
    set_budget(tx, "team", 100, "team")
    hold = reserve(tx, 6, p_metadata={"team": "alpha"}, p_ttl="1 minute")
    clock.advance(minutes=1)
    set_budget(tx, "team", 100, "team", soft_limits=[5])
    call(tx, "settle", hold, Decimal("5.5"))
    assert [row.context["threshold"] for row in escalations(tx) if row.kind == "budget_threshold"] == ["5"]
