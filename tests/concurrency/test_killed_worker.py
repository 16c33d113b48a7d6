"""A worker that dies with its hold costs headroom until the hold lapses, and no longer: nobody sweeps here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.concurrency.calls import VARIANTS, reserve
from tests.race import Connection, until
from tests.rows import value

# Reserves all there is for two seconds, and then takes its time, as a call to a provider would.
WORKER = """
import sys, time, psycopg
dsn, variant, end = sys.argv[1:]
connection = psycopg.connect(dsn)
connection.execute(f"SELECT * FROM budget.{variant}(100, 'worker', p_ttl => '2 seconds')")
if end == "committed":
    connection.commit()
print(connection.info.backend_pid, flush=True)
time.sleep(60)
"""

EITHER = pytest.mark.parametrize("variant", VARIANTS)


def kill_a_worker(db: Connection, dsn: str, variant: str, end: str) -> None:
    """Run a worker until it has its hold, kill it with SIGKILL and wait until the server has noticed."""
    command = [sys.executable, "-c", WORKER, dsn, variant, end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            backend = int(worker.stdout.readline())
        finally:
            worker.kill()
    query = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = %s"
    until(lambda: value(db, query, backend), "the server to notice")


@EITHER
def test_a_killed_worker_costs_its_time_to_live_and_no_longer(db: Connection, dsn: str, variant: str) -> None:
    kill_a_worker(db, dsn, variant, "committed")
    lapses_at = value(db, "SELECT expires_at FROM budget.open_holds")

    def granted() -> bool:
        asked_at = value(db, "SELECT clock_timestamp()")
        verdict = reserve(variant, 1)(db)
        if not verdict.can_proceed:
            assert (verdict.reason, verdict.retry_at) == ("in_flight", lapses_at)
            assert asked_at < lapses_at, "it had lapsed before it was counted"
        return bool(verdict.can_proceed)

    assert not granted()
    until(granted, "the hold to lapse")
    assert value(db, "SELECT reserved_at FROM budget.open_holds") >= lapses_at
    assert value(db, "SELECT metadata ->> 'type' FROM public.cost_tracking WHERE cost = 100") == "reservation"


@EITHER
def test_a_worker_killed_before_its_commit_costs_nothing(db: Connection, dsn: str, variant: str) -> None:
    kill_a_worker(db, dsn, variant, "not committed")
    verdict = reserve(variant, 100)(db)
    assert (verdict.can_proceed, verdict.current_total) == (True, 0)
