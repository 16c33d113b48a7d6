"""Where the microseconds of a call go: the server's own count of the time in each function, without what it calls."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from contextlib import nullcontext
from typing import Any

import psycopg

from tests.bench.ledgers import Ledgers
from tests.bench.pgbench import WARM_UP, processor_us
from tests.bench.subjects import ADVISORY, HANDOVER

# The functions by what they are for, in the order in which a call comes to them.
STEPS = {
    "arguments": ("_money", "_service_name", "_metadata", "_ttl"),
    "settings": ("_begin_decision", "_begin_write", "_end_write"),
    "lock and clock": ("_serialise", "_now"),
    "configuration": ("_require_config", "_read_config", "_parse_config", "_zone"),
    "window": ("_window", "_day_start", "_has_day"),
    "sum": ("_headroom", "_counted"),
    "verdict": ("_decide",),
    "budgets and windows": ("_matching", "_member", "_request", "_limit", "_period"),
    "balances": (
        "_reclaim",
        "_lock_balance",
        "_take_room",
        "_fold",
        "_take_postings",
        "_balance",
        "_booked",
        "_posted",
    ),
    "insert": ("_insert_hold", "_hold_metadata", "_iso", "_guard_hold", "_require_kept"),
    "posting": ("_post", "_insert_posting"),
    "escalation check": ("_escalate_caps",),
    "body": ("reserve_advisory", "_reserve", "_admit", "check_and_reserve_budget"),
}
OUTSIDE, WAITING = "statement and commit", "disk and round trip"
STEP_OF = {function: step for step, functions in STEPS.items() for function in functions}

CALLS = {
    "handover": ("handover", HANDOVER),
    "reserve_advisory": ("core", f"{ADVISORY};"),
    "budgets": ("budgets", f"{ADVISORY};"),
}


def profile(
    ledgers: Ledgers, subject: str, rows: int, *, in_transaction: bool, calls: int, rounds: int
) -> dict[str, Any]:
    """The median of the rounds' means, in µs a call.

    OUTSIDE is the backend's processor time outside the functions, WAITING what else the client sees pass.
    """
    kind, statement = CALLS[subject]
    ledger = ledgers[kind]
    ledger.fill_today(rows)
    taken = []
    with psycopg.connect(ledger.dsn, autocommit=True) as connection:
        connection.execute("SET track_functions = 'all'")
        _run(connection, statement, WARM_UP, in_transaction=True)
        for _ in range(rounds):
            ledger.empty_batch()
            ledger.vacuum()
            taken.append(_round(connection, statement, calls, in_transaction=in_transaction))
    steps = {step: statistics.median(one[step] for one in taken) for step in taken[0]}
    return {
        "subject": subject,
        "rows": rows,
        "in_transaction": in_transaction,
        "steps": {step: round(us, 1) for step, us in steps.items()},
    }


def _round(connection: psycopg.Connection, statement: str, calls: int, *, in_transaction: bool) -> dict[str, float]:
    before, before_cpu = _function_us(connection), processor_us(connection.info.backend_pid)
    wall = _run(connection, statement, calls, in_transaction=in_transaction)
    cpu = processor_us(connection.info.backend_pid) - before_cpu
    steps: dict[str, float] = defaultdict(float)
    for function, us in _function_us(connection).items():
        if us > before.get(function, 0):
            steps[STEP_OF.get(function, function)] += (us - before.get(function, 0)) / calls
    steps[OUTSIDE] = cpu / calls - sum(steps.values())
    steps[WAITING] = (wall - cpu) / calls
    return steps


def _run(connection: psycopg.Connection, statement: str, calls: int, *, in_transaction: bool) -> float:
    """The µs that the calls take; those in one transaction are rolled back."""
    begun = time.perf_counter()
    with connection.transaction(force_rollback=True) if in_transaction else nullcontext():
        for _ in range(calls):
            connection.execute(statement.encode(), prepare=True)
        taken = time.perf_counter() - begun
    return taken * 1e6


def _function_us(connection: psycopg.Connection) -> dict[str, float]:
    """The time spent in each function by all sessions so far, without that in functions that it called."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    rows = connection.execute("SELECT funcname, self_time * 1000 FROM pg_stat_user_functions").fetchall()
    return dict(rows)
