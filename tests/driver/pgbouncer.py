"""A PgBouncer in transaction mode before the tests' server, as a context manager."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgbudget._binaries import popen_options, unprivileged_account
from tests.needs import need
from tests.race import SECONDS, until

CONFIGURATION = """
[databases]
* = host={server} port={port}

[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool_size}
{settings}
"""


def program() -> str:
    """Where PgBouncer is; without it the test is skipped."""
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    need(found, "there is no pgbouncer here; Debian has it as the package pgbouncer")
    assert found is not None
    return found


class PgBouncer:
    """Lends `pool_size` sessions of the server to however many clients come, a transaction at a time.

    It runs as the server's account, who alone may enter the directory of the server's socket. `dsn` leads through it.
    `settings` are further lines of its configuration, of which the last of a name counts.
    """

    def __init__(self, program: str, dsn: str, *, pool_size: int, settings: str = "") -> None:
        self._account = unprivileged_account()
        self._folder = Path(tempfile.mkdtemp(dir="/tmp"))  # a socket's path must be short
        self.dsn = make_conninfo(dsn, host=str(self._folder), port=6432)
        server = conninfo_to_dict(dsn)
        ini = CONFIGURATION.format(
            folder=self._folder, server=server["host"], port=server["port"], pool_size=pool_size, settings=settings
        )
        (self._folder / "pgbouncer.ini").write_text(ini)
        (self._folder / "users").write_text(f'"{server["user"]}" ""\n')
        if self._account:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
            for file in self._folder.iterdir():
                os.chown(file, self._account.pw_uid, self._account.pw_gid)
        self._command = [program, str(self._folder / "pgbouncer.ini")]

    def __enter__(self) -> PgBouncer:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **popen_options(self._account)
            )
        try:
            self._await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(SECONDS)
        shutil.rmtree(self._folder)

    def _await_ready(self) -> None:
        def ready() -> bool:
            assert self._process.poll() is None, f"PgBouncer ended: {(self._folder / 'log').read_text()}"
            with socket.socket(socket.AF_UNIX) as client:
                return client.connect_ex(str(self._folder / ".s.PGSQL.6432")) == 0

        until(ready, "PgBouncer")
