"""Drift: budget.invariants finds a balance that is not the sum of its ledger rows, and budget.reconcile mends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.budgets.standing import drift, members, set_budget
from tests.clock import NOON, Clock, utc
from tests.pgtap import is_empty
from tests.rows import Connection, call, expect, one, reserve, rows, spend

ALPHA: dict[str, object] = {"team": "alpha"}
BETA: dict[str, object] = {"team": "beta"}


@contextmanager
def triggers_off(tx: Connection) -> Iterator[None]:
    """As a restore or a bulk load does it."""
    tx.execute("SET LOCAL session_replication_role = replica")
    yield
    tx.execute("SET LOCAL session_replication_role = origin")


def reconciled(tx: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in rows(tx, "SELECT * FROM budget.reconcile()")]


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize(
    ("written", "ledger"),
    [
        (
            """INSERT INTO public.cost_tracking (service_name, cost, metadata, created_at)
               VALUES ('svc', 4, '{"team": "alpha"}', budget._now())""",
            10,
        ),
        ("UPDATE public.cost_tracking SET cost = 5 WHERE cost = 2", 9),
        ("DELETE FROM public.cost_tracking WHERE cost = 2", 4),
    ],
)
def test_what_was_written_past_the_triggers_is_found_and_mended(
    tx: Connection, clock: Clock, slots: int, written: str, ledger: int
) -> None:
    set_budget(tx, "team", 10, "team", slots=slots)
    spend(tx, 2, metadata=ALPHA)
    reserve(tx, 4, p_metadata=ALPHA)
    reserve(tx, 3, p_metadata=BETA)
    assert drift(tx) == []
    with triggers_off(tx):
        tx.execute(written.encode())

    found = {(row.budget, row.member, row.balance, row.ledger) for row in drift(tx)}
    assert found == {("team", "alpha", 6, ledger), ("daily", "*", 9, ledger + 3)}
    broken = rows(tx, "SELECT i.rule, i.detail FROM budget.invariants AS i ORDER BY i.detail")
    assert [row.rule for row in broken] == ["a balance is the sum of its ledger rows"] * 2
    assert broken[1].detail == f"budget team, member alpha, from 2025-10-03 00:00:00+00: 6, ledger {ledger}"

    midnight = utc("2025-10-03")
    assert reconciled(tx) == [
        ("daily", "*", midnight, 9, ledger + 3),
        ("team", "alpha", midnight, 6, ledger),
    ]
    assert reconciled(tx) == []
    assert members(tx, "team") == {"alpha": ledger, "beta": 3}
    expect(call(tx, "reserve", 11 - ledger, "svc", ALPHA), can_proceed=False)
    expect(call(tx, "reserve", 10 - ledger, "svc", ALPHA), can_proceed=True)


def test_a_lapsed_hold_is_no_drift(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 10, "team", slots=3)
    reserve(tx, 4, p_metadata=ALPHA)
    clock.advance(hours=2)
    assert drift(tx) == []
    reserve(tx, 10, p_metadata=ALPHA)
    assert drift(tx) == []
    call(tx, "expire")
    assert drift(tx) == []


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE budget.balances SET room = room + 1 WHERE budget = 'b' AND slot = 2",
        "UPDATE budget.balances SET amount = amount - 1 WHERE budget = 'b' AND slot = 0",
        "DELETE FROM budget.balances WHERE budget = 'b' AND slot = 2",
    ],
)
def test_slots_that_have_not_the_room_of_their_limit_are_found_and_mended(
    tx: Connection, clock: Clock, harm: str
) -> None:
    set_budget(tx, "b", 10, slots=3)
    reserve(tx, 4)
    tx.execute(harm.encode())
    assert [row.budget for row in drift(tx)] == ["b"]
    assert [row[0] for row in reconciled(tx)] == ["b"]
    assert drift(tx) == []
    expect(call(tx, "reserve", 7, "svc"), can_proceed=False, budget="b", current_total=4)
    expect(call(tx, "reserve", 6, "svc"), can_proceed=True)


def test_windows_that_have_ended_are_mended_too(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "b", 10, period="hour")
    reserve(tx, 4)
    clock.advance(hours=1)
    with triggers_off(tx):
        spend(tx, 3, at=NOON)
    assert {(row[0], row[2]) for row in reconciled(tx)} == {("b", NOON), ("daily", utc("2025-10-03"))}
    is_empty(tx, "SELECT * FROM budget.invariants")


def test_a_total_has_no_beginning(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "ever", 1000, period="total")
    reserve(tx, 4)
    with triggers_off(tx):
        spend(tx, 3, at=utc("1999-01-01"))
    assert reconciled(tx) == [("ever", "*", None, 4, 7)]


@pytest.mark.parametrize("slots", [1, 3])
def test_who_never_asked_is_found_and_mended_too(tx: Connection, clock: Clock, slots: int) -> None:
    set_budget(tx, "team", 10, "team", slots=slots)
    spend(tx, 1, metadata=ALPHA)
    with triggers_off(tx):
        spend(tx, 3, metadata=ALPHA)
        spend(tx, 2, metadata=BETA)
    midnight = utc("2025-10-03")
    assert reconciled(tx) == [("team", "alpha", midnight, 1, 4), ("team", "beta", midnight, 0, 2)]
    assert drift(tx) == []
    expect(call(tx, "reserve", 7, "svc", ALPHA), can_proceed=False, budget="team", current_total=4)


def test_a_healthy_database_is_left_as_it_is(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "team", 10, "team", slots=3)
    reserve(tx, 4, p_metadata=ALPHA)
    spend(tx, 2, metadata=ALPHA)
    query = "SELECT (SELECT array_agg(b.ctid) FROM budget.balances AS b), (SELECT count(*) FROM budget.postings)"
    before = one(tx, query)
    assert reconciled(tx) == []
    assert one(tx, query) == before
