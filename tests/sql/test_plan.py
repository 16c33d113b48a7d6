"""A call reads its day by the index on created_at, and no more, however long the ledger is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from tests.rows import Connection, call, one, reserve

DAYS, ROWS_A_DAY = 200, 100

CALLS: dict[str, Callable[[Connection, UUID], Any]] = {
    "reserve": lambda c, _: call(c, "reserve", 1, "test"),
    "reserve, refused": lambda c, _: call(c, "reserve", 5000, "test"),
    "reserve_advisory": lambda c, _: call(c, "reserve_advisory", 1, "test"),
    "replay": lambda c, hold: call(c, "reserve", 1, "test", p_reservation_id=hold),
    "check": lambda c, _: call(c, "check", 1, "test"),
    "extend": lambda c, hold: call(c, "extend", hold, 2),
    "settle": lambda c, hold: call(c, "settle", hold, 2),
    "cancel": lambda c, hold: call(c, "cancel", hold),
    "record": lambda c, _: call(c, "record", 1, "test"),
    "status": lambda c, _: one(c, "SELECT * FROM budget.status"),
}

READ = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'public.cost_tracking'::regclass"


def test_reads_its_day_alone(db: Connection) -> None:
    db.execute(
        """INSERT INTO public.cost_tracking (service_name, cost, created_at)
           SELECT 'old', 0.01, clock_timestamp() - n * interval '1 day'
             FROM generate_series(1, %s) AS n, generate_series(1, %s)""",
        (DAYS, ROWS_A_DAY),
    )
    call(db, "set_limits", {"emergency_kill": 1000})
    hold = reserve(db, 1)
    db.execute("ANALYZE public.cost_tracking")
    for name, what in CALLS.items():
        with db.transaction(force_rollback=True):
            before = one(db, READ)
            what(db, hold)
            after = one(db, READ)
        assert (name, after.seq_scan - before.seq_scan) == (name, 0)
        assert after.idx_tup_fetch - before.idx_tup_fetch < 10, f"{name} has read more than its day"
