"""Whose spend a budget counts: everybody's, a service's, or that of the value of a key of the request's metadata."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.budgets.standing import drift, members, set_budget, standing
from tests.clock import Clock
from tests.rows import Connection, as_owner, call, expect, reserve, spend


def test_everybody_together(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "all", 10)
    reserve(caller, 4, "one", p_metadata={"team": "alpha"})
    spend(caller, 5, service="two")
    expect(call(caller, "reserve", 2, "three"), can_proceed=False, budget="all", current_total=9)


@pytest.mark.parametrize("slots", [1, 3])
def test_each_member_has_the_limit_for_itself(caller: Connection, clock: Clock, slots: int) -> None:
    set_budget(caller, "team", 10, "team", slots=slots)
    reserve(caller, 9, p_metadata={"team": "alpha"})
    reserve(caller, 10, p_metadata={"team": "beta"})
    expect(call(caller, "reserve", 2, "svc", {"team": "alpha"}), can_proceed=False, budget="team", current_total=9)
    assert members(caller, "team") == {"alpha": 9, "beta": 10}


def test_a_lapsed_hold_gives_room_to_its_member_alone(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team")
    reserve(caller, 6, p_metadata={"team": "alpha"}, p_ttl=timedelta(minutes=1))
    reserve(caller, 8, p_metadata={"team": "beta"})
    clock.advance(minutes=1)
    expect(call(caller, "reserve", 3, "svc", {"team": "beta"}), can_proceed=False, current_total=8)
    expect(call(caller, "reserve", 10, "svc", {"team": "alpha"}), can_proceed=True)


def test_one_member_alone(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "alpha's", 10, "team", member="alpha")
    reserve(caller, 50, p_metadata={"team": "beta"})
    reserve(caller, 9, p_metadata={"team": "alpha"})
    expect(call(caller, "reserve", 2, "svc", {"team": "alpha"}), can_proceed=False, budget="alpha's")
    assert members(caller, "alpha's") == {"alpha": 9}


def test_a_member_of_its_own_beside_the_rule_for_each(caller: Connection, clock: Clock) -> None:
    """Both apply: a budget for one cannot be larger than that for each."""
    set_budget(caller, "each", 10, "team")
    set_budget(caller, "alpha's", 20, "team", member="alpha")
    reserve(caller, 10, p_metadata={"team": "alpha"})
    expect(call(caller, "reserve", 1, "svc", {"team": "alpha"}), can_proceed=False, budget="each")


def test_a_service_is_the_service_and_not_a_key_of_that_name(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "svc", 10, "service")
    reserve(caller, 9, "search", p_metadata={"service": "mail"})
    reserve(caller, 9, "mail")
    expect(call(caller, "reserve", 2, "search"), can_proceed=False, budget="svc", current_total=9)
    assert members(caller, "svc") == {"search": 9, "mail": 9}


@pytest.mark.parametrize("metadata", [{}, {"team": None}, {"teams": "alpha"}, {"of": {"team": "alpha"}}], ids=str)
def test_who_has_no_such_key_is_not_limited(caller: Connection, clock: Clock, metadata: dict[str, Any]) -> None:
    set_budget(caller, "team", 10, "team")
    expect(call(caller, "reserve", 50, "svc", metadata), can_proceed=True, budget="daily")
    spend(caller, 20, metadata=metadata)
    assert members(caller, "team") == {}


@pytest.mark.parametrize(
    ("value", "member"),
    [
        (7, "7"),
        (7.50, "7.5"),
        (True, "true"),
        ("", ""),
        ("*", "*"),
        (" Alpha", " Alpha"),
        (["a", 1], '["a", 1]'),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
        ("x" * 200, "x" * 200),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_value_that_is_no_text_is_the_text_of_it(caller: Connection, clock: Clock, value: Any, member: str) -> None:
    set_budget(caller, "team", 10, "team")
    metadata: Any = {"team": value} if value != 7.50 else Jsonb({"team": value}, dumps=lambda _: '{"team": 7.50}')
    held = call(caller, "reserve", 6, "svc", metadata)
    assert held.can_proceed
    assert members(caller, "team") == {member: 6}
    expect(call(caller, "reserve", 5, "svc", metadata), can_proceed=False, budget="team")
    call(caller, "cancel", held.reservation_id)
    assert members(caller, "team") == {member: 0}


def test_long_values_are_told_apart(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team")
    one, other = ("x" * 5000 + end for end in "12")
    reserve(caller, 6, p_metadata={"team": one})
    reserve(caller, 6, p_metadata={"team": other})
    expect(call(caller, "reserve", 5, "svc", {"team": one}), can_proceed=False, budget="team", current_total=6)
    assert len(members(caller, "team")) == 2


# Who writes the ledger past the functions


def test_direct_writers_are_counted(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team")
    spend(caller, 6, metadata={"team": "alpha"})
    expect(call(caller, "reserve", 5, "svc", {"team": "alpha"}), can_proceed=False, budget="team", current_total=6)


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ("UPDATE public.cost_tracking SET cost = cost + 1", {"alpha": 7, "beta": 4}),
        ("UPDATE public.cost_tracking SET cost = 0 WHERE cost = 6", {"alpha": 0, "beta": 3}),
        ("""UPDATE public.cost_tracking SET metadata = '{"team": "beta"}' WHERE cost = 6""", {"alpha": 0, "beta": 9}),
        ("UPDATE public.cost_tracking SET metadata = '{}' WHERE cost = 6", {"alpha": 0, "beta": 3}),
        ("UPDATE public.cost_tracking SET created_at = created_at - interval '1 day'", {"alpha": 0, "beta": 0}),
        ("UPDATE public.cost_tracking SET created_at = 'infinity' WHERE cost = 3", {"alpha": 6, "beta": 0}),
        ("UPDATE public.cost_tracking SET service_name = 'else'", {"alpha": 6, "beta": 3}),
        ("DELETE FROM public.cost_tracking WHERE cost = 3", {"alpha": 6, "beta": 0}),
        ("DELETE FROM public.cost_tracking", {"alpha": 0, "beta": 0}),
        ("TRUNCATE public.cost_tracking", {}),
        (
            """INSERT INTO public.cost_tracking (service_name, cost, metadata, created_at)
               SELECT 's', 1, '{"team": "beta"}', budget._now() FROM generate_series(1, 20)""",
            {"alpha": 6, "beta": 23},
        ),
        (
            """INSERT INTO public.cost_tracking (id, service_name, cost)
               SELECT l.id, 's', 1 FROM public.cost_tracking AS l WHERE l.cost = 3
               ON CONFLICT (id) DO UPDATE SET cost = 5""",
            {"alpha": 6, "beta": 5},
        ),
        (
            """MERGE INTO public.cost_tracking AS l USING (VALUES (1)) AS v (one) ON l.cost = 6
               WHEN MATCHED THEN DELETE""",
            {"alpha": 0, "beta": 3},
        ),
    ],
)
def test_whatever_is_written_to_the_ledger_is_in_the_balances(
    tx: Connection, clock: Clock, slots: int, change: str, counts: dict[str, int]
) -> None:
    set_budget(tx, "team", 30, "team", slots=slots)
    spend(tx, 6, metadata={"team": "alpha"})
    spend(tx, 3, metadata={"team": "beta"})
    tx.execute(change.encode())
    assert members(tx, "team") == counts
    for member, amount in counts.items():
        call(tx, "reserve", 0, "svc", {"team": member})  # folds what was posted
        expect(call(tx, "reserve", 31 - amount, "svc", {"team": member}), can_proceed=False)
        expect(call(tx, "reserve", 30 - amount, "svc", {"team": member}), can_proceed=True)
    assert drift(tx) == []


@pytest.mark.parametrize("slots", [1, 3])
def test_an_empty_ledger_has_empty_balances(tx: Connection, clock: Clock, slots: int) -> None:
    set_budget(tx, "team", 30, "team", slots=slots)
    for _ in range(2):
        reserve(tx, 10, p_metadata={"team": "alpha"})
    tx.execute("TRUNCATE public.cost_tracking")
    assert members(tx, "team") == {}
    reserve(tx, 30, p_metadata={"team": "alpha"})
    assert members(tx, "team") == {"alpha": 30}


def test_what_a_function_writes_is_counted_as_it_goes(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 100, "team")
    alpha = {"team": "alpha"}

    def after(_: object, spent: int, held: int) -> None:
        expect(standing(caller, "team", "alpha"), spent=spent, held=held, remaining=100 - spent - held)

    held = reserve(caller, 10, p_metadata=alpha)
    after("reserve", 0, 10)
    after(call(caller, "extend", held, 15), 0, 15)
    after(call(caller, "settle", held, Decimal(12), {"team": "beta"}), 12, 0)  # it stays the request's
    after(call(caller, "record", 3, "svc", alpha), 15, 0)
    other = reserve(caller, 5, p_metadata=alpha)
    after(call(caller, "cancel", other), 15, 0)
    after(call(caller, "settle", other, 4), 19, 0)
    with as_owner(caller):
        assert members(caller, "team") == {"alpha": 19}
