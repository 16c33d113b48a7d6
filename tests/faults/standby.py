"""A streaming standby of a server, and what becomes of both."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from pgbudget import _binaries
from pgbudget.embedded import Server
from tests.faults.conftest import LAZY
from tests.race import Connection, until
from tests.rows import value

NAME = "standby"
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """Copy a running server and follow it, asynchronously at first."""
    account = _binaries.unprivileged_account()
    with tempfile.TemporaryDirectory(prefix="pgbudget-") as folder:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        data_dir = Path(folder) / "data"
        copied = _binaries.run(
            [
                primary.bin_dir / "pg_basebackup",
                f"--dbname={make_conninfo(primary.dsn(), application_name=NAME)}",
                f"--pgdata={data_dir}",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ],
            account,
            timeout_seconds=60,
        )
        assert copied.returncode == 0, copied.stdout
        settings = {**LAZY, "wal_retrieve_retry_interval": "100ms"}  # a promotion may wait for as long
        with Server(data_dir, bin_dir=primary.bin_dir, settings=settings) as standby:
            with psycopg.connect(primary.dsn(), autocommit=True) as watch:
                until(lambda: value(watch, STREAMING) == 1, "the standby to follow")
            yield standby


def make_synchronous(primary: Connection) -> None:
    """From here on a commit is answered once the standby has it on disk."""
    primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'".encode())
    primary.execute("SELECT pg_reload_conf()")
    until(
        lambda: value(primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1,
        "the standby to be synchronous",
    )


def sender(primary: Connection) -> int:
    """The process of the primary that sends to the standby."""
    pid: int = value(primary, "SELECT pid FROM pg_stat_replication")
    return pid


def promote(standby: Server) -> None:
    with psycopg.connect(standby.dsn(), autocommit=True) as connection:
        assert value(connection, "SELECT pg_promote(true, 30)")
