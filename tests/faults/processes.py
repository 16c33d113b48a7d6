"""A server's processes, ended or stopped from outside as the system's own out-of-memory killer would."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from pgbudget.embedded import Server
from tests.race import Connection, until


def kill(pid: int) -> None:
    """SIGKILL to one process. Where it is a backend, the server ends all others and recovers by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_all(server: Server, watch: Connection) -> None:
    """SIGKILL to every process of a server, at one moment; `watch` is an idle connection to it.

    None may be left to end by itself: it could wait for ever for a lock in memory that a killed one had.
    """
    os.kill(server.pid, signal.SIGSTOP)  # or it would end them in its own way, and start others
    pids = {pid for (pid,) in watch.execute("SELECT pid FROM pg_stat_activity").fetchall()}
    for pid in pids | children(server.pid):
        kill(pid)
    server.kill()


def children(of: int) -> set[int]:
    """The processes that this one has started, those that the server does not list among them; none without /proc."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            if int(status.read_text().rpartition(")")[2].split()[1]) == of:
                found.add(int(status.parent.name))
    return found


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
