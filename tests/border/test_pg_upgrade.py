"""pg_upgrade from 16 to 18 keeps everything: rows, functions, roles and their rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import Budget
from pgbudget._binaries import popen_options, unprivileged_account
from pgbudget.doctor import examine
from pgbudget.embedded import Server
from tests import chain
from tests.race import SECONDS

pytestmark = pytest.mark.proof

QUICK = {"fsync": "off", "full_page_writes": "off"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory of the server's account, whose path is short enough for a socket."""
    made, account = Path(tempfile.mkdtemp(dir="/tmp")), unprivileged_account()
    if account:
        os.chown(made, account.pw_uid, account.pw_gid)
    yield made
    shutil.rmtree(made)


def program(server: Server, name: str, *arguments: str | Path, folder: Path) -> None:
    """Run it as the server's account, in a directory where that may write."""
    options = popen_options(unprivileged_account()) | {"cwd": folder}
    command = [server.bin_dir / name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_is_there_afterwards(folder: Path) -> None:
    with Server(folder / "old", version="16", settings=QUICK) as old:
        with psycopg.connect(old.dsn(), autocommit=True) as connection:
            connection.execute("CREATE ROLE app LOGIN")
            connection.execute("CREATE DATABASE spend")
        chain.migrate(old.dsn("spend"), grant_to=["app"])
        with Budget(make_conninfo(old.dsn("spend"), user="app")) as budget:
            budget.record(3, "svc")
            hold = budget.reserve(2, "svc").reservation_id
            assert hold
    with Server(folder / "new", version="18", settings=QUICK) as new:
        pass  # made
    # initdb of 18 makes them
    program(old, "pg_checksums", "--enable", "--no-sync", "--pgdata", folder / "old", folder=folder)
    program(
        new, "pg_upgrade", "--username=postgres", "--no-sync", f"--socketdir={folder}",
        "--old-bindir", old.bin_dir, "--new-bindir", new.bin_dir,
        "--old-datadir", folder / "old", "--new-datadir", folder / "new", folder=folder,
    )  # fmt: skip

    with Server(folder / "new", version="18", settings=QUICK) as new:
        dsn = new.dsn("spend")
        assert chain.migrate(dsn) == []
        assert [(c.name, f.found) for c in examine(dsn) for f in c.findings if f.verdict == "wrong"] == []
        with Budget(make_conninfo(dsn, user="app")) as budget:
            verdict = budget.reserve(1, "svc")
            assert (verdict.can_proceed, verdict.current_total) == (True, Decimal(5))
            assert budget.settle(hold, 2).late is False
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM budget.invariants").fetchone() == (0,)
