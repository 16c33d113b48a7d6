"""A database of an earlier version is upgraded and rolled back with holds open in it; none is lost.

`fixtures/earlier` is a chain as a database may have it: a copy of what once was, frozen like a release. A later version
is made up here, in the way that a release makes one: functions are edited, and a new migration carries them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from pgbudget import Budget, migrations
from pgbudget.embedded import Server
from tests import pgtap, race
from tests.migration.support import Connection, dump, one, rows, session

EARLIER = Path(__file__).with_name("fixtures") / "earlier"
COMPILE = Path(__file__).parents[2] / "db" / "compile.py"
LATER = "0008.pgbudget_later_pre"
CHANGED = ("functions/version.sql", "functions/settle.sql", "functions/_internal/_insert_hold.sql")


class Release:
    """The earlier chain and the files that it was compiled from; `add_later` adds the later version."""

    def __init__(self, folder: Path) -> None:
        self.series = folder / "core"
        shutil.copy(COMPILE, folder)
        shutil.copytree(EARLIER, self.series / "migrations")
        for migration in sorted(EARLIER.glob("????.*.sql")):
            for name, body in re.findall(r"^-- begin (\S+\.sql)\n(.*?)^-- end \1$", migration.read_text(), re.M | re.S):
                file = self.series / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(body)
        self.compile()

    def compile(self, *arguments: str) -> None:
        command = [sys.executable, str(self.series.parent / "compile.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=race.SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def add_later(self) -> None:
        for name in CHANGED:
            file = self.series / name
            text = (
                file.read_text()
                .replace("'1.0'", "'1.1'")
                .replace("BEGIN\n", "BEGIN\n    -- As of the later version.\n", 1)
            )
            assert text != file.read_text()
            file.write_text(text)
        carried = "".join(f"-- begin {name}\n-- end {name}\n" for name in CHANGED)
        last = max(path.stem for path in EARLIER.glob("????.*.sql") if not path.stem.endswith(".rollback"))
        later = self.series / "migrations" / f"{LATER}.sql"
        later.write_text(f"-- depends: {last}\n{carried}")
        later.with_suffix(".rollback.sql").write_text("-- begin compiled\n-- end compiled\n")
        self.compile()
        self.compile("check")


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """The chain that this test's `migrate` applies."""
    monkeypatch.setattr(migrations, "db_dir", lambda: tmp_path)
    return Release(tmp_path)


@pytest.fixture
def earlier_dsn(release: Release, empty_dsn: str) -> str:
    """A database of the earlier version."""
    migrations.migrate(empty_dsn)
    return empty_dsn


def open_holds(db: Connection) -> dict[UUID, Decimal]:
    return dict(db.execute("SELECT reservation_id, estimated_cost FROM budget.open_holds").fetchall())


def test_open_holds_outlive_an_upgrade_and_its_rollback(server: Server, release: Release, earlier_dsn: str) -> None:
    with session(earlier_dsn) as db:
        budget = Budget(db)
        held = [
            budget.reserve(Decimal(1), "table lock").reservation_id,
            budget.reserve_advisory(Decimal(2), "advisory lock").reservation_id,
            one(db, "SELECT reservation_id FROM public.check_and_reserve_budget(3, 'hand-over')"),
            one(
                db,
                """INSERT INTO public.cost_tracking (service_name, cost, metadata)
                   VALUES ('direct', 4, '{"type": "reservation"}') RETURNING id""",
            ),
        ]
        budget.record(Decimal(5), "spent")
        db.execute("SELECT budget.cancel(reservation_id) FROM budget.reserve(6, 'cancelled')")
        as_before = dump(server, earlier_dsn), rows(earlier_dsn)
        assert set(open_holds(db)) == set(held)

        release.add_later()
        assert migrations.migrate(earlier_dsn) == [LATER]
        assert one(db, "SELECT budget.version()") == "1.1"
        assert one(db, "SELECT count(*) FROM pg_proc WHERE prosrc LIKE '%As of the later version.%'") == 2
        assert rows(earlier_dsn) == as_before[1]
        pgtap.function_privs_are(db, "budget.settle(uuid, numeric, jsonb)", "public", [])
        pgtap.function_privs_are(db, "budget.settle(uuid, numeric, jsonb)", "budget_caller", ["EXECUTE"])

        assert migrations.rollback(earlier_dsn) == [LATER]
        assert (dump(server, earlier_dsn), rows(earlier_dsn)) == as_before
        assert migrations.migrate(earlier_dsn) == [LATER]

        # What was held before is ended as ever: two of them after the upgrade, two after the second rollback.
        assert budget.settle(held[0], Decimal("0.5")).status == "actual"
        assert budget.cancel(held[2]).status == "cancelled"
        assert migrations.rollback(earlier_dsn) == [LATER]
        assert open_holds(db) == {held[1]: 2, held[3]: 4}
        assert budget.settle(held[1], Decimal(2)).status == "actual"
        assert budget.settle(held[3], Decimal(4)).status == "actual"
        assert budget.status().settled == Decimal("11.5")
        pgtap.is_empty(db, "SELECT * FROM budget.invariants")


def test_callers_go_on_while_it_is_upgraded_and_rolled_back(release: Release, earlier_dsn: str) -> None:
    release.add_later()
    start = race.barrier(5)
    done = threading.Event()

    def spend(client: int) -> int:
        calls = 0
        with Budget(earlier_dsn) as budget:
            reserve = (budget.reserve, budget.reserve_advisory)[client % 2]
            budget.version()
            start.wait()
            while not done.is_set():
                held = reserve(Decimal("0.001"), f"client {client}").reservation_id
                assert held is not None
                assert budget.settle(held, Decimal("0.001")).status == "actual"
                calls += 1
        return calls

    with ThreadPoolExecutor(4) as clients:
        running = [clients.submit(spend, client) for client in range(4)]
        try:
            start.wait()
            for _ in range(3):
                assert migrations.migrate(earlier_dsn) == [LATER]
                assert migrations.rollback(earlier_dsn) == [LATER]
        finally:
            done.set()
        calls = [client.result(race.SECONDS) for client in running]

    assert all(calls)
    with session(earlier_dsn) as db:
        pgtap.results_eq(
            db,
            "SELECT metadata ->> 'type', count(*) FROM public.cost_tracking GROUP BY 1",
            [("actual", sum(calls))],
        )
        pgtap.is_empty(db, "SELECT * FROM budget.invariants")
