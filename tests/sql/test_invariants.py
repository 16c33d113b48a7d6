"""budget.invariants: no rows when healthy; a row for each rule that somebody has got past."""

from __future__ import annotations

import pytest

from tests.clock import Clock
from tests.pgtap import bag_eq, has_view, is_empty
from tests.rows import Connection, as_owner, call, configure, reserve, spend
from tests.series import by_series

INVARIANTS = "SELECT rule, id FROM budget.invariants"


@pytest.mark.parametrize("on_expiry", ["release", "keep"])
def test_a_ledger_with_every_kind_of_row_is_healthy(reader: Connection, clock: Clock, on_expiry: str) -> None:
    has_view(reader, "budget.invariants")
    is_empty(reader, INVARIANTS)
    configure(reader, {"emergency_kill": 100, "on_expiry": on_expiry})
    with as_owner(reader):
        late = [reserve(reader, 1) for _ in range(4)]
        call(reader, "cancel", late[0])
        clock.advance(hours=1)
        call(reader, "expire", 1)
        for hold in late[:3]:
            call(reader, "settle", hold, 2)
        reserve(reader, 3)
        call(reader, "extend", reserve(reader, 3), 4)
        call(reader, "record", 5, "test")
    for metadata in ({}, {"type": "reservation"}, {"type": "expired"}, {"reserved_at": 1}):
        spend(reader, 6, metadata=dict(metadata))
    is_empty(reader, INVARIANTS)


def test_a_broken_configuration_leaves_the_ledger_healthy(reader: Connection, clock: Clock) -> None:
    with as_owner(reader):
        reserve(reader, 3)
    configure(reader, None)
    is_empty(reader, INVARIANTS)


CHECKS = "ALTER TABLE public.cost_tracking DROP CONSTRAINT budget_cost_in_range, DROP CONSTRAINT budget_expiry_of_hold"

# What somebody does to a hold of 10 past triggers and checks, and the rules that this breaks.
BROKEN = [
    ('cost = -1, metadata = metadata || \'{"estimated_cost": "-1"}\'', ["a cost is at least 0 and below 1e15"]),
    ("cost = 'NaN', metadata = metadata || '{\"estimated_cost\": \"NaN\"}'", ["a cost is at least 0 and below 1e15"]),
    ("cost = 12", ["an open hold counts its estimate"]),
    ("expires_at = NULL", ["an open hold has an expiry"]),
    (
        'metadata = metadata || \'{"type": "actual"}\'',
        ["only an open hold has an expiry", "the total is the sum of its parts"],
    ),
    ('metadata = metadata || \'{"type": "lost"}\', expires_at = NULL', ["every hold is in a state of its life"]),
    ("metadata = metadata - 'type', expires_at = NULL", ["every hold is in a state of its life"]),
    ("metadata = metadata - 'estimated_cost'", ["a row that began as a hold keeps its estimate"]),
    (
        'metadata = metadata || \'{"type": "cancelled"}\', expires_at = NULL',
        ["a cancelled hold costs nothing"],
    ),
]

# What past the triggers changes a cost leaves the balances behind, where there are any.
BALANCES: list[tuple[str, None]] = by_series(core=[], budgets=[("a balance is the sum of its ledger rows", None)])


@pytest.mark.parametrize(("change", "rules"), BROKEN, ids=str)
def test_every_broken_rule_is_named(tx: Connection, clock: Clock, change: str, rules: list[str]) -> None:
    hold, _ = reserve(tx, 10), reserve(tx, 10)
    with tx.transaction(force_rollback=True):
        tx.execute(CHECKS)
        tx.execute("SET LOCAL session_replication_role = 'replica'")  # no triggers
        tx.execute(f"UPDATE public.cost_tracking SET {change} WHERE id = %s".encode(), [hold])
        tx.execute("SET LOCAL ROLE budget_reader")
        broken = [(rule, None if rule.startswith("the total") else hold) for rule in rules]
        if change.startswith("cost = "):
            broken += BALANCES
        bag_eq(tx, INVARIANTS, broken)


def test_a_row_without_a_creation_time_is_named(tx: Connection) -> None:
    row_id = spend(tx, 1)
    with tx.transaction(force_rollback=True):
        tx.execute("ALTER TABLE public.cost_tracking DROP CONSTRAINT budget_created_at_present")
        tx.execute("UPDATE public.cost_tracking SET created_at = NULL")
        bag_eq(tx, INVARIANTS, [("every row has a creation time", row_id), *BALANCES])
