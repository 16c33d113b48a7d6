"""A server's processes, ended or stopped from outside as the system's own out-of-memory killer would."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from pgbudget.embedded import Server
from tests.race import Connection, until


def kill(pid: int) -> None:
    """SIGKILL to one process. Where it is a backend, the server ends all others and recovers by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_all(server: Server, watch: Connection) -> None:
    """SIGKILL to every process of a server, at one moment; `watch` is an idle connection to it."""
    os.kill(server.pid, signal.SIGSTOP)  # or it would end them in its own way, and start others
    for (pid,) in watch.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").fetchall():
        kill(pid)
    server.kill()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile, and then goes on if it is still there."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def await_recovery(dsn: str) -> None:
    """Wait until a server that recovers by itself accepts connections again."""

    def accepts() -> bool:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            return False
        return True

    until(accepts, "the server to recover")
