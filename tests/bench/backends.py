"""What calls do to the backend that runs them: the memory that it keeps, and the updates that touch every index."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.ledgers import HANDOVER_SPEND, SPEND, Ledgers

CONTEXTS = "SELECT pg_backend_pid(), sum(total_bytes) / 1024 FROM pg_backend_memory_contexts"
UPDATES = """
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'public.cost_tracking'::regclass
"""


def memory(ledgers: Ledgers, kind: str, pairs: int) -> dict[str, Any]:
    """What a backend has for its own alone, in KiB, before the first pair of calls, after it, and after many."""
    ledgers[kind].fill_today(0)
    with psycopg.connect(ledgers[kind].dsn, autocommit=True) as connection:
        figures = {"kind": kind, "pairs": pairs, "before": _kept(connection)}
        _pairs(connection, kind, 1)
        figures["after_first"] = _kept(connection)
        _pairs(connection, kind, pairs - 1)
        return figures | {"after_all": _kept(connection)}


def _kept(connection: psycopg.Connection) -> dict[str, int]:
    row = connection.execute(CONTEXTS).fetchone()
    assert row is not None
    mapped = Path(f"/proc/{row[0]}/smaps_rollup").read_text()
    private = sum(int(size) for size in re.findall(r"^Private_\w+: +(\d+) kB", mapped, re.MULTILINE))
    return {"private_kib": private, "contexts_kib": int(row[1])}


def _pairs(connection: psycopg.Connection, kind: str, number: int) -> None:
    reserve, settle = HANDOVER_SPEND if kind.startswith("handover") else SPEND
    for _ in range(number):
        hold = connection.execute(reserve.encode()).fetchone()
        connection.execute(settle.encode(), hold)


def hot_updates(ledgers: Ledgers, kind: str, rows: int, pairs: int) -> dict[str, Any]:
    """Of so many rows reserved and settled, how many were settled without a new entry in any index."""
    ledger = ledgers[kind]
    ledger.fill_today(rows)
    ledger.vacuum()
    before = _counts(ledger.connection, 0)
    with psycopg.connect(ledger.dsn, autocommit=True) as connection:
        _pairs(connection, kind, pairs)
    after = _counts(ledger.connection, before[0] + pairs)
    return {"kind": kind, "updates": after[0] - before[0], "hot_updates": after[1] - before[1]}


def _counts(connection: psycopg.Connection, at_least: int) -> tuple[int, int]:
    """The counts of updates. A backend hands in its own when it ends, a moment after its client is gone."""
    deadline = time.monotonic() + 10
    while True:
        row = connection.execute(UPDATES).fetchone()
        assert row is not None
        if row[0] >= at_least or time.monotonic() > deadline:
            return row[0], row[1]
        time.sleep(0.01)
