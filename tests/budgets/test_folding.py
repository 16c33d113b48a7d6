"""What waits to be folded, and what has lapsed and is not marked, does not pile up under those who only reserve."""

from __future__ import annotations

from decimal import Decimal

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


@pytest.mark.parametrize("slots", [1, 3])
def test_the_next_decision_folds_what_was_posted(tx: Connection, clock: Clock, slots: int) -> None:
    set_budget(tx, "team", 100, "team", slots=slots)
    reserve(tx, 1, p_metadata={"team": "alpha"})
    for _ in range(3):
        spend(tx, 1, metadata={"team": "alpha"})
    reserve(tx, 2, p_metadata={"team": "alpha"})
    assert [row.amount for row in rows(tx, "SELECT o.amount FROM budget.postings AS o WHERE o.budget = 'team'")] == [2]


def test_what_was_posted_under_another_slot_is_left_to_it(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 100, "team", slots=2)
    reserve(tx, 1, p_metadata={"team": "alpha"})
    for cost in (2, 3):
        spend(tx, cost, metadata={"team": "alpha"})
    tx.execute("UPDATE budget.postings AS o SET slot = 3 - o.slot WHERE o.budget = 'team' AND o.amount = 3")
    reserve(tx, 0, p_metadata={"team": "alpha"})
    assert [row.amount for row in rows(tx, "SELECT o.amount FROM budget.postings AS o WHERE o.budget = 'team'")] == [3]
    assert drift(tx) == []


@pytest.mark.parametrize(("postings", "left"), [(200, 200), (201, 0)])
def test_what_is_posted_under_a_slot_from_which_nobody_reserves_is_folded_by_others(
    tx: Connection, clock: Clock, postings: int, left: int
) -> None:
    set_budget(tx, "team", 1000, "team", slots=2)
    reserve(tx, 1, p_metadata={"team": "alpha"})
    reserve(tx, 0, p_metadata={"team": "alpha"})  # folds that
    spend(tx, Decimal(postings) / 10, metadata={"team": "alpha"})
    tx.execute(  # as if so many calls of the other session's had posted that
        """WITH one AS (DELETE FROM budget.postings AS o WHERE o.budget = 'team' RETURNING o.*)
           INSERT INTO budget.postings (budget, member, starts_at, ends_at, slot, amount)
           SELECT budget, member, starts_at, ends_at, 3 - slot, 0.1 FROM one, generate_series(1, %s)""",
        [postings],
    )
    reserve(tx, 0, p_metadata={"team": "alpha"})
    assert one(tx, "SELECT count(*) AS n FROM budget.postings AS o WHERE o.budget = 'team'").n == left
    assert drift(tx) == []


def test_where_nobody_reserves_postings_do_not_pile_up(db: Connection) -> None:
    set_budget(db, "team", 1000, "team")
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
            """SELECT budget._take_postings(m, true)
                 FROM budget.postings AS o
                CROSS JOIN LATERAL (SELECT (o.budget, 'team', o.member, o.starts_at, o.ends_at, 100, 'block', 1, 0, 0)
                                           ::budget._match) AS k (m)
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
