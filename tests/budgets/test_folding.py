"""What waits to be folded, and what has lapsed and is not marked, does not pile up under those who only reserve."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.budgets.batches import minutes, reserve_many
from tests.budgets.standing import drift, set_budget, standing
from tests.clock import Clock
from tests.conftest import Connect
from tests.rows import Connection, as_owner, call, one, reserve, rows, spend


def marked(connection: Connection) -> int:
    """The holds that are marked as expired."""
    query = "SELECT count(*) AS n FROM public.cost_tracking AS l WHERE l.metadata ->> 'type' = 'expired'"
    with as_owner(connection):
        count: int = one(connection, query).n
    return count


def lapse(connection: Connection, clock: Clock, holds: int) -> None:
    request = {"estimated_cost": "0.5", "service_name": "svc", "ttl": minutes(1)}
    reserve_many(connection, [request] * holds)
    clock.advance(minutes=1)


@pytest.mark.parametrize(("lapsed", "marks"), [(100, 0), (101, 101)])
def test_more_lapsed_holds_than_a_hundred_are_marked_by_the_next_decision(
    caller: Connection, clock: Clock, lapsed: int, marks: int
) -> None:
    lapse(caller, clock, lapsed)
    reserve(caller, 100)
    assert marked(caller) == marks


def test_a_lapsed_hold_that_is_extended_is_not_marked_first(caller: Connection, clock: Clock) -> None:
    held = reserve(caller, 1, p_ttl="1 minute")
    lapse(caller, clock, 101)
    assert call(caller, "extend", held, 2).can_proceed
    assert marked(caller) == 0


def test_a_lapsed_hold_that_is_extended_counts_nothing_in_its_own_way(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team")
    held = reserve(caller, 6, p_metadata={"team": "alpha"}, p_ttl="1 minute")
    clock.advance(minutes=1)
    assert call(caller, "extend", held, 8).can_proceed


def open_for(connection: Connection, slots: int) -> None:
    """A budget whose balance of alpha is open, and has no postings."""
    set_budget(connection, "team", 100, "team", slots=slots)
    spend(connection, 1, metadata={"team": "alpha"})
    reserve(connection, 0, p_metadata={"team": "alpha"})
    assert postings(connection) == []


def postings(connection: Connection) -> list[tuple[bool, Any]]:
    """What is posted to alpha: under the slot of this session? And how much?"""
    query = """SELECT o.slot = budget._own_slot(b.slots) AS is_own, o.amount
                 FROM budget.postings AS o INNER JOIN budget.budgets AS b ON o.budget = b.name
                WHERE o.budget = 'team' ORDER BY o.amount"""
    return [(row.is_own, row.amount) for row in rows(connection, query)]


def post(connection: Connection, count: int, *, own: bool = True) -> None:
    """Spend a tenth so many times, as this session or as the one of the other slot of two."""
    spend(connection, Decimal(count) / 10, metadata={"team": "alpha"})
    with as_owner(connection):
        connection.execute(
            """WITH one AS (DELETE FROM budget.postings AS o WHERE o.budget = 'team' AND o.amount = %s RETURNING o.*)
               INSERT INTO budget.postings (budget, member, starts_at, ends_at, slot, amount)
               SELECT budget, member, starts_at, ends_at, CASE WHEN %s THEN slot ELSE 3 - slot END, 0.1
                 FROM one, generate_series(1, %s)""",
            [Decimal(count) / 10, own, count],
        )


@pytest.mark.parametrize("slots", [1, 3])
def test_the_decision_after_the_first_posting_opens_the_balance(tx: Connection, clock: Clock, slots: int) -> None:
    set_budget(tx, "team", 1000, "team", slots=slots)
    opened = "SELECT coalesce(sum(b.amount), 0) AS n FROM budget.balances AS b WHERE b.budget = 'team'"
    spend(tx, 1, metadata={"team": "alpha"})
    assert (one(tx, opened).n, postings(tx)) == (0, [(True, 1)])
    reserve(tx, 2, p_metadata={"team": "alpha"})
    assert (one(tx, opened).n, postings(tx)) == (1, [(True, 2)])
    assert drift(tx) == []


@pytest.mark.parametrize("slots", [1, 3])
def test_a_refusal_opens_no_balance(tx: Connection, clock: Clock, slots: int) -> None:
    """Nor does what it folds of others: a caller can make up members."""
    set_budget(tx, "user", 1000, "user", slots=slots)
    open_for(tx, slots)
    post(tx, 17)
    assert not call(tx, "reserve", 101, "svc", {"team": "alpha", "user": "made up"}).can_proceed
    assert postings(tx) == []
    assert rows(tx, "SELECT FROM budget.balances AS b WHERE b.budget = 'user'") == []


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize(("posted", "left"), [(16, 16), (17, 0)])
def test_more_postings_than_sixteen_are_folded_by_the_next_decision(
    tx: Connection, clock: Clock, slots: int, posted: int, left: int
) -> None:
    open_for(tx, slots)
    post(tx, posted)
    reserve(tx, 2, p_metadata={"team": "alpha"})
    assert postings(tx) == [(True, Decimal("0.1"))] * left + [(True, 2)]
    assert drift(tx) == []


def test_what_was_posted_under_another_slot_is_left_to_it(tx: Connection, clock: Clock) -> None:
    open_for(tx, 2)
    post(tx, 30, own=False)
    post(tx, 17)
    reserve(tx, 2, p_metadata={"team": "alpha"})
    assert postings(tx) == [(False, Decimal("0.1"))] * 30 + [(True, 2)]
    assert drift(tx) == []


def test_who_needs_the_room_of_all_slots_folds_what_is_under_them(tx: Connection, clock: Clock) -> None:
    open_for(tx, 2)
    post(tx, 30, own=False)
    reserve(tx, 70, p_metadata={"team": "alpha"})
    assert postings(tx) == [(True, 70)]
    assert drift(tx) == []


@pytest.mark.parametrize("slots", [1, 3])
def test_where_nobody_reserves_postings_do_not_pile_up(db: Connection, slots: int) -> None:
    set_budget(db, "team", 1000, "team", slots=slots)
    for _ in range(1500):
        spend(db, "0.1", metadata={"team": "alpha"})
    assert one(db, "SELECT count(*) AS n FROM budget.postings AS o WHERE o.budget = 'team'").n < 1200
    assert drift(db) == []
    assert standing(db, "team", "alpha").spent == 150


def test_postings_that_another_is_taking_are_passed_over(db: Connection, connect: Connect) -> None:
    set_budget(db, "team", 100, "team")
    for _ in range(3):
        spend(db, 10, metadata={"team": "alpha"})
    writer = connect()
    with writer.transaction():
        taken = writer.execute(
            """SELECT budget._take_postings(o.budget, o.member, o.starts_at, o.slot)
                 FROM budget.postings AS o
                WHERE o.budget = 'team'
                LIMIT 1"""
        ).fetchone()
        assert taken == (30,)
        assert one(db, "SELECT count(*) AS n FROM budget.postings AS o WHERE o.budget = 'team'").n == 3
        refused = call(db, "reserve", 71, "svc", p_metadata={"team": "alpha"})
        assert (refused.reason, refused.current_total) == ("exhausted", 30)
        held = reserve(db, 70, p_metadata={"team": "alpha"})
        raise psycopg.Rollback
    call(db, "settle", held, 70)
    assert drift(db) == []
    assert standing(db, "team", "alpha").spent == 100
