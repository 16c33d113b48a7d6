"""The server has no room, no connection to give, or may not write: nothing is half done, and spend is not forgotten.

A disk that takes no more of the write-ahead log ends the server: tests/faults/test_crash.py.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import pgbudget
from pgbudget import Budget, _binaries
from tests.concurrency.calls import holds, total
from tests.conftest import Connect
from tests.faults import promises
from tests.faults.load import Load
from tests.race import Connection, until
from tests.rows import call, value
from tests.security.calls import OWN_TABLES

pytestmark = pytest.mark.proof


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of 128 kB that the server's account may write to."""
    account = _binaries.unprivileged_account()
    with tempfile.TemporaryDirectory(prefix="pgbudget-") as folder:
        Path(folder).chmod(0o711)
        disk = Path(folder) / "disk"
        disk.mkdir()
        owner = f"uid={account.pw_uid},gid={account.pw_gid}" if account else ""
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size=128k,mode=0700,{owner}", "tmpfs", disk],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"only root, outside of most containers, may mount a small file system: {mounted.stderr}")
        try:
            yield disk
        finally:
            subprocess.run(["umount", disk], check=True)


def test_a_disk_that_is_full(db: Connection, dsn: str) -> None:
    """What does not fit is refused whole. Once there is room, all goes on."""
    with small_disk() as disk:
        db.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
        try:
            for table in ("public.cost_tracking", *OWN_TABLES):
                db.execute(f"ALTER TABLE {table} SET TABLESPACE small".encode())
            load = Load(dsn, "full disk", lacking={"disk"})
            with load.running(again=True):
                until(lambda: load.undone["disk"] > 10, "the disk to be full")
                subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
                before = load.answered.total()
                until(lambda: load.answered.total() > before + 100, "all to go on")
            load.check(dsn)
        finally:
            for table in ("public.cost_tracking", *OWN_TABLES):
                db.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default".encode())
            db.execute("DROP TABLESPACE small")


def test_no_connection_to_be_had(db: Connection, dsn: str, connect: Connect) -> None:
    """Those who have one go on. Who gets none has reserved nothing, and keeps what it has spent to deliver it later."""
    [hold] = holds(db, 1, 10)
    db.execute(f"ALTER DATABASE {db.info.dbname} CONNECTION LIMIT 3".encode())
    first, second = connect(role="app"), connect(role="app")
    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        connect(role="app")
    with Budget(make_conninfo(dsn, user="app")) as budget:
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            budget.reserve(10, "worker")
        with pytest.raises(pgbudget.UndeliveredSettlement) as undelivered:
            budget.settle(hold, 7)
        for connection in (first, second):
            mine = call(connection, "reserve", 10, "worker").reservation_id
            assert call(connection, "settle", mine, 1).status == "actual"
        backend = first.info.backend_pid
        first.close()
        until(lambda: not value(db, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", backend), "a free place")
        for _ in range(2):
            assert undelivered.value.deliver(budget).actual_cost == 7
    assert total(db) == 1 + 1 + 7
    promises.sound(db)


def test_a_database_that_was_made_read_only(db: Connection, dsn: str) -> None:
    """As some platforms do when the disk fills. Sessions that were open before are not bound by it."""
    name, (settled, cancelled) = db.info.dbname, holds(db, 2, 10)
    db.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with Budget(dsn) as budget:
        for reserve in (budget.reserve, budget.reserve_advisory):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reserve(1, "worker")
        undelivered = []
        posts: tuple[Callable[[], object], ...] = (
            lambda: budget.settle(settled, 7),
            lambda: budget.cancel(cancelled),
            lambda: budget.record(5, "worker"),
        )
        for post in posts:
            with pytest.raises(pgbudget.UndeliveredSettlement) as caught:
                post()
            undelivered.append(caught.value)
        assert budget.check(81, "worker").reason == "in_flight"
    assert call(db, "reserve", 1, "worker").current_total == 20
    db.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    with Budget(dsn) as budget:
        for error in undelivered * 2:
            error.deliver(budget)
    assert total(db) == 7 + 5 + 1
    promises.sound(db)
