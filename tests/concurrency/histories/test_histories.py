"""Random histories: eight clients at once, and every answer as if they had come one at a time.

A history that goes wrong is told with its seed. Set in the environment, HISTORY_SEED=123 runs that one program again
and again until it does, and HISTORIES=100000 runs so many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import repeat

import pytest

from tests.concurrency.calls import empty_ledger
from tests.concurrency.histories.checking import faults, story
from tests.concurrency.histories.programs import CLIENTS, Program, program
from tests.concurrency.histories.running import History, run
from tests.concurrency.histories.shrinking import shrink
from tests.race import Connection, Crowd
from tests.rows import value
from tests.series import by_series

pytestmark = pytest.mark.proof

HISTORIES = int(os.environ.get("HISTORIES", "2000"))
BATCH = 250
ROUNDS = 1000
"""How often the program of HISTORY_SEED is run."""

VACUUM = "VACUUM public.cost_tracking, public.escalations" + by_series(
    core="", budgets=", budget.balances, budget.postings"
)


def batches() -> list[Iterable[int]]:
    """Seeds, in batches that can be run side by side."""
    if seed := os.environ.get("HISTORY_SEED"):
        return [repeat(int(seed), ROUNDS)]
    return [range(first, min(first + BATCH, HISTORIES)) for first in range(0, HISTORIES, BATCH)]


def first_wrong(db: Connection, clients: Crowd, seeds: Iterable[int], slots: int = 1) -> History | None:
    """The first history that goes wrong."""
    for number, seed in enumerate(seeds):
        if number % 25 == 0:
            db.execute(VACUUM)
        if (history := run_wrong(clients, program(seed, slots))) is not None:
            return history
    return None


def run_wrong(clients: Crowd, program: Program) -> History | None:
    """Run a program; its history if it goes wrong."""
    history = run(clients, program)
    return history if any(faults(history)) else None


@pytest.mark.parametrize("slots", by_series(core=[1], budgets=[1, 4]))
@pytest.mark.parametrize("seeds", batches(), ids=str)
def test_every_history_has_an_order(
    db: Connection, crowd: Callable[[int], Crowd], seeds: Iterable[int], slots: int
) -> None:
    clients = crowd(CLIENTS)
    history = first_wrong(db, clients, seeds, slots)
    if history is not None:
        history = shrink(history, lambda smaller: run_wrong(clients, smaller))
        pytest.fail(story(history, list(faults(history))), pytrace=False)


LOCK = """v_decision := budget._serialise(
        p_lock, ARRAY[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._posting]
    );"""
UNLOCKED = {LOCK: "SELECT budget._now() AS decided_at, budget._require_config() AS config INTO v_decision;"}
LATE_LOCK = """PERFORM budget._serialise(
        'advisory', ARRAY[ROW(p_service_name, p_metadata, NULL, p_estimate)::budget._posting]
    );"""
NO_LOCK = by_series(
    core={"IF p_lock = 'table' THEN": "IF true THEN NULL; ELSIF false THEN"},
    budgets={"IF NOT budget._lock_balance(": "IF false AND NOT budget._lock_balance("},
)

# What is changed in which functions.
BROKEN = {
    "no decision lock": {"budget._serialise": NO_LOCK},
    "the sum before the lock": {
        "budget._reserve": UNLOCKED,
        "budget._admit": {"    IF NOT v_verdict.can_proceed": f"    {LATE_LOCK} IF NOT v_verdict.can_proceed"},
    },
    "the id looked up before the lock": {
        "budget._reserve": UNLOCKED,
        "budget._admit": {"    IF v_row.id IS NOT NULL": f"    {LATE_LOCK} IF v_row.id IS NOT NULL"},
    },
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN)
def test_a_broken_guard_is_found(
    db: Connection, crowd: Callable[[int], Crowd], changes: dict[str, dict[str, str]]
) -> None:
    for function, replaced in changes.items():
        source = value(db, "SELECT pg_get_functiondef(%s::regproc)", function)
        for old, new in replaced.items():
            assert old in source
            source = source.replace(old, new)
        db.execute(source)
    assert first_wrong(db, crowd(CLIENTS), range(BATCH)) is not None
    empty_ledger(db)
