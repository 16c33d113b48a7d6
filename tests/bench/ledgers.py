"""The server that is measured on, and the ledgers in it: ours, and the one that the handover has its function for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg

from pgbudget.embedded import Server
from pgbudget.migrations import migrate

MEMORY_MIB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20

# What PostgreSQL has on by default is named where durability rests on it. Autovacuum is off, because the harness
# vacuums by itself, right before each batch. No checkpoint comes by itself either. The buffers are what PostgreSQL's
# manual advises, and hold the largest ledger where the machine has 16 GiB.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "32GB",
    "shared_buffers": f"{min(4096, MEMORY_MIB // 4)}MB",
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
HANDOVER_FUNCTION = (Path(__file__).parent / "handover.sql").read_text()

# The day's index as it would be if it only found the day.
PLAIN_INDEX = """
DROP INDEX public.budget_day_idx;
CREATE INDEX budget_day_idx ON public.cost_tracking (created_at);
"""


@dataclass(frozen=True)
class Kind:
    """What is in a database: our series (none: the handover's ledger), older rows, and what is run in the end.

    A day that is `lived` is as calls leave it: each row reserved, then settled, and nothing vacuumed.
    """

    series: tuple[str, ...] = ("core",)
    old: bool = False
    lived: bool = False
    sql: str = ""

    @property
    def balances(self) -> bool:
        """Whether it keeps balances, which are as large as the ledger's rows say."""
        return "budgets" in self.series


def _budgets(sql: str = "") -> Kind:
    return Kind(series=("core", "budgets"), sql=sql)


# The budget daily is the one that all calls share; requests come from this many teams and users.
SLOTS, TEAMS, USERS = 16, 50, 1_000
DAILY = "SELECT budget.set_budget('daily', NULL, p_slots => {slots});"
TEAM_BUDGETS = f"""
SELECT budget.set_budget('team ' || n, 1000, 'team', 'team-' || n) FROM generate_series(1, {TEAMS}) AS n;
"""
MEMBER_BUDGETS = """
SELECT budget.set_budget('each team', 1000, 'team');
SELECT budget.set_budget('each user', 1000, 'user');
"""


KINDS = {
    "handover": Kind(series=()),
    "handover, old": Kind(series=(), old=True),
    "core": Kind(),
    "core, old": Kind(old=True),
    "core, lived": Kind(lived=True),
    "core, plain index": Kind(sql=PLAIN_INDEX),
    "core, plain index, lived": Kind(lived=True, sql=PLAIN_INDEX),
    "budgets": _budgets(),
    **{f"budgets, {slots} slots": _budgets(DAILY.format(slots=slots)) for slots in (8, 16, 64)},
    "50 budgets": _budgets(DAILY.format(slots=SLOTS) + TEAM_BUDGETS),
    "3 budgets match": _budgets(DAILY.format(slots=SLOTS) + MEMBER_BUDGETS),
}

# One call each of what leaves a settled row behind; the ledgers are filled with copies of that row.
HANDOVER_SPEND = (
    """SELECT reservation_id FROM check_and_reserve_budget(0.0001, 'bench', '{}')""",
    """UPDATE cost_tracking
          SET metadata = '{"type": "actual", "updated_at": "2025-10-03T12:00:00.000Z",
                           "work_order_id": "be8db517-93c4-48ab-8a32-1d787a42d32a"}' WHERE id = %s""",
)
SPEND = (
    """SELECT reservation_id
         FROM budget.reserve(0.0001, 'bench', '{"work_order_id": "be8db517-93c4-48ab-8a32-1d787a42d32a"}')""",
    "SELECT budget.settle(%s, 0.0001)",
)

# md5 makes ids faster than gen_random_uuid, and as scattered. A day that is very large would come to the limit: what is
# beyond 100,000 rows costs nothing.
FILL = """
INSERT INTO cost_tracking (id, service_name, cost, metadata, created_at)
SELECT
    md5(%(salt)s || n)::uuid, 'service-' || n %% 10, CASE WHEN n <= 100000 THEN 0.0001 ELSE 0 END, {metadata},
    %(begin)s::timestamptz + n * %(step)s::interval
FROM generate_series(1, %(rows)s) AS n
"""
METADATA = "%(metadata)s::text::jsonb"
MEMBERS_METADATA = f"""
jsonb_set({METADATA}, '{{original_metadata}}', %(metadata)s::text::jsonb -> 'original_metadata' || jsonb_build_object(
    'team', 'team-' || 1 + n %% {TEAMS}, 'user', 'user-' || 1 + n %% {USERS}
))
"""

# The triggers would post millions of rows one by one, and the next decision would sum them up.
WITHOUT_TRIGGERS, WITH_TRIGGERS = "SET session_replication_role = replica", "RESET session_replication_role"
# As the migration and set_budget do it, and then one decision, which spreads the room over the slots.
COUNT = """
DO $do$
BEGIN
    PERFORM budget._rebuild(budget._read_config(), b.name) FROM budget.budgets AS b;
    DELETE FROM public.cost_tracking WHERE id = (
        SELECT reservation_id FROM budget.reserve_advisory(0.0001, 'bench', '{"team": "team-1", "user": "user-1"}')
    );
    DROP TABLE IF EXISTS counted, posted;
    CREATE TABLE counted AS TABLE budget.balances;
    CREATE TABLE posted AS TABLE budget.postings;
END
$do$
"""
COUNTED_AGAIN = """
DELETE FROM budget.balances;
DELETE FROM budget.postings;
INSERT INTO budget.balances TABLE counted;
INSERT INTO budget.postings TABLE posted;
"""

LIVE = """
DO $do$
DECLARE
    v_hold uuid;
BEGIN
    FOR n IN 1..{rows} LOOP
        v_hold := r.reservation_id FROM budget.reserve_advisory(0.0001, 'service-' || n % 10) AS r;
        COMMIT;
        PERFORM budget.settle(v_hold, 0.0001);
        COMMIT;
    END LOOP;
END
$do$
"""

VACUUM = "VACUUM (INDEX_CLEANUP ON) cost_tracking"
VACUUM_BALANCES = "VACUUM (INDEX_CLEANUP ON) budget.balances, budget.postings"


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
    """A database with one ledger, filled with rows of today and of the year before it."""

    def __init__(self, server: Server, name: str, kind: Kind, *, old_rows: int = 0) -> None:
        """Of a database that is there and has the kind's series."""
        self._kind = kind
        self.dsn = server.dsn(name)
        self.connection = psycopg.connect(self.dsn, autocommit=True)
        if kind.sql:
            self.execute(kind.sql)
        self._metadata = self._spend_once(*(SPEND if kind.series else HANDOVER_SPEND))
        self._filled: tuple[datetime, int] | None = None
        if kind.old:
            self._fill(old_rows, today() - timedelta(days=365), timedelta(days=365))

    def execute(self, *statements: str, **params: Any) -> None:
        for statement in statements:
            self.connection.execute(statement.encode(), params or None)

    def _spend_once(self, reserve: str, settle: str) -> str:
        """The metadata of a row that was reserved and settled."""
        with self.connection.transaction(force_rollback=True):
            hold = self.connection.execute(reserve.encode()).fetchone()
            self.connection.execute(settle.encode(), hold)
            row = self.connection.execute("SELECT metadata::text FROM cost_tracking").fetchone()
        assert row is not None
        metadata: str = row[0]
        return metadata

    def fill_today(self, rows: int) -> None:
        """Make today hold so many settled rows and nothing else."""
        if self._filled == (today(), rows):
            self.empty_batch()
            return
        self._delete(f"created_at >= '{today()}'")
        self.execute(VACUUM)
        if self._kind.lived:
            self.execute(LIVE.format(rows=rows), "ANALYZE cost_tracking")
        else:
            self._fill(rows, today(), datetime.now(timezone.utc) - today())
        if self._kind.balances:
            self.execute(COUNT, "ANALYZE budget.balances, budget.postings")
        self._filled_at = datetime.now(timezone.utc)
        self._filled = today(), rows

    def _fill(self, rows: int, begin: datetime, span: timedelta) -> None:
        step = span / (rows + 1)
        fill = FILL.format(metadata=MEMBERS_METADATA if self._kind.balances else METADATA)
        self.execute(WITHOUT_TRIGGERS)
        self.execute(fill, salt=str(begin), metadata=self._metadata, begin=begin, step=step, rows=rows)
        self.execute(WITH_TRIGGERS, "ANALYZE cost_tracking", VACUUM)
        # No checkpoint, after which the first write to every page would be a large one; but no written page is left for
        # the kernel to bring to the disk during a batch.
        os.sync()

    def empty_batch(self) -> None:
        """Delete the rows that a batch has added since the ledger was filled."""
        self._delete(f"created_at > '{self._filled_at}'")
        if self._kind.balances:
            self.execute(COUNTED_AGAIN)

    def _delete(self, which: str) -> None:
        self.execute(WITHOUT_TRIGGERS, f"DELETE FROM cost_tracking WHERE {which}", WITH_TRIGGERS)

    def vacuum(self) -> None:
        """Remove what is dead, from the indexes too; a lived day is left as it is."""
        if not self._kind.lived:
            self.execute(VACUUM)
        if self._kind.balances:
            self.execute(VACUUM_BALANCES)


class Ledgers:
    """One ledger of each kind, made when it is first asked for; a context manager, which closes their connections.

    Of some kinds there is one for each size of the day as well, so that they can be compared in turns.
    """

    def __init__(self, server: Server, old_rows: int, kinds: dict[str, Kind] = KINDS) -> None:
        self.server = server
        self._old_rows = old_rows
        self._kinds = kinds
        self._templates: dict[tuple[str, ...], str] = {}
        self._made: dict[tuple[str, int | None], Ledger] = {}

    def __getitem__(self, kind: str) -> Ledger:
        return self.of(kind, None)

    def of(self, kind: str, rows: int | None) -> Ledger:
        """The ledger of this kind that is kept for this size of the day."""
        if (kind, rows) not in self._made:
            name = f"ledger_{len(self._made)}"
            self._create(name, self._template(self._kinds[kind].series))
            self._made[kind, rows] = Ledger(self.server, name, self._kinds[kind], old_rows=self._old_rows)
        return self._made[kind, rows]

    def _template(self, series: tuple[str, ...]) -> str:
        """The database that those of these series are copies of."""
        if series not in self._templates:
            name = self._templates[series] = f"template_{len(self._templates)}"
            self._create(name, "template0")
            for one in series:
                migrate(self.server.dsn(name), series=one)
            if not series:
                with psycopg.connect(self.server.dsn(name), autocommit=True) as connection:
                    connection.execute(f"{HANDOVER_LEDGER}; {HANDOVER_FUNCTION}".encode())
        return self._templates[series]

    def _create(self, name: str, template: str) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())

    def __enter__(self) -> Ledgers:
        return self

    def __exit__(self, *_: object) -> None:
        for ledger in self._made.values():
            ledger.connection.close()


def today() -> datetime:
    """The day's first instant in UTC, which is the server's time zone and that of the limits."""
    return datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
