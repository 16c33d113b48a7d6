"""The server and the ledgers that are measured: ours, and the one that the handover's function was written for."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg

from pgbudget.embedded import Server
from pgbudget.migrations import migrate

HERE = Path(__file__).parent

# fsync, full_page_writes and synchronous_commit are on, as PostgreSQL has them. Autovacuum is off, because the harness
# vacuums by itself: before each batch, and at no other time. No checkpoint that a timer asks for falls into a batch.
SETTINGS = {
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
    "shared_buffers": "1GB",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
}

# The ledger as the application has it, without any index but the key's.
HANDOVER_LEDGER = """
CREATE TABLE cost_tracking (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    service_name text NOT NULL,
    cost numeric(10, 4) NOT NULL,
    metadata jsonb DEFAULT '{}',
    created_at timestamptz DEFAULT now()
)
"""

# A row as each system leaves it when a call is over; the ledgers are filled with copies of it.
SPENT = {
    "handover": (
        """SELECT reservation_id FROM check_and_reserve_budget(0.0001, 'bench', '{}')""",
        """UPDATE cost_tracking
              SET metadata = '{"type": "actual", "updated_at": "2025-10-03T12:00:00.000Z",
                               "work_order_id": "be8db517-93c4-48ab-8a32-1d787a42d32a"}' WHERE id = %s""",
    ),
    "pgbudget": (
        """SELECT reservation_id
             FROM budget.reserve(0.0001, 'bench', '{"work_order_id": "be8db517-93c4-48ab-8a32-1d787a42d32a"}')""",
        "SELECT budget.settle(%s, 0.0001)",
    ),
}

# md5 makes ids faster than gen_random_uuid, and as scattered.
FILL = """
INSERT INTO cost_tracking (id, service_name, cost, metadata, created_at)
SELECT
    md5(%(salt)s || n)::uuid, 'service-' || n %% 10, 0.0001, %(metadata)s::text::jsonb,
    %(begin)s::timestamptz + n * %(step)s::interval
FROM generate_series(1, %(rows)s) AS n
"""


@contextmanager
def bench_server() -> Iterator[Server]:
    """A durable server whose data lie on a disk, below TMPDIR or /var/tmp."""
    folder = next(path for path in (tempfile.gettempdir(), "/var/tmp") if filesystem(Path(path)) != "tmpfs")  # noqa: S108
    data_dir = Path(tempfile.mkdtemp(prefix="pgbudget-bench-", dir=folder))
    try:
        with Server(data_dir, settings=SETTINGS) as server:
            yield server
    finally:
        shutil.rmtree(data_dir)


def filesystem(path: Path) -> str:
    """The type of the file system that a path is on."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    within = [(len(mount[1]), mount[2]) for mount in mounts if path.resolve().is_relative_to(mount[1])]
    return max(within)[1]


class Ledger:
    """A database with one ledger of a kind, filled with rows of today and of the year before it."""

    def __init__(self, server: Server, name: str, kind: str, *, sql: str = "") -> None:
        """Make the database; `sql` is run when all else is in place."""
        self.dsn = server.dsn(name)
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        if kind == "pgbudget":
            migrate(self.dsn)
        else:
            self.execute(HANDOVER_LEDGER)
            self.execute((HERE / "handover.sql").read_text())
        if sql:
            self.execute(sql)
        self._metadata = self._spend_once(*SPENT[kind])

    def execute(self, *statements: str, **params: Any) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode(), params or None)

    def _spend_once(self, reserve: str, settle: str) -> str:
        """The metadata of a row that was reserved and settled."""
        with psycopg.connect(self.dsn) as connection:
            hold = connection.execute(reserve.encode()).fetchone()
            connection.execute(settle.encode(), hold)
            row = connection.execute("SELECT metadata::text FROM cost_tracking").fetchone()
            connection.rollback()
        assert row is not None
        metadata: str = row[0]
        return metadata

    def fill_past(self, rows: int) -> None:
        """Spread so many rows over the year before today."""
        self._fill(rows, today() - timedelta(days=365), timedelta(days=365))

    def fill_today(self, rows: int) -> None:
        """Make today hold so many settled rows and nothing else."""
        self.execute(f"DELETE FROM cost_tracking WHERE created_at >= '{today()}'")
        self._fill(rows, today(), datetime.now(timezone.utc) - today())

    def _fill(self, rows: int, begin: datetime, span: timedelta) -> None:
        step = span / (rows + 1)
        self.execute(FILL, salt=str(begin), metadata=self._metadata, begin=begin, step=step, rows=rows)
        self.vacuum()
        self._filled_at = datetime.now(timezone.utc)

    def empty_batch(self) -> None:
        """Delete the rows that batches have added since the ledger was filled."""
        self.execute(f"DELETE FROM cost_tracking WHERE created_at > '{self._filled_at}'")

    def vacuum(self) -> None:
        """Remove what is dead, from the indexes too."""
        self.execute("VACUUM (ANALYZE, INDEX_CLEANUP ON) cost_tracking")


def today() -> datetime:
    """The day's first instant in UTC, which is the server's time zone and that of the limits."""
    return datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


def await_a_day(seconds: float) -> None:
    """Wait for midnight if the day (of UTC, as the server has it) would end within the time to come."""
    left = today() + timedelta(days=1) - datetime.now(timezone.utc)
    if left.total_seconds() < seconds:
        time.sleep(left.total_seconds() + 1)
