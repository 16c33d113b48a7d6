"""A disk that takes longer: a durable server whose every flush of the log waits for a while before it writes.

`commit_delay` does that: the one backend that is about to flush sleeps, with the lock on the log's writing held, and
all who commit meanwhile wait for it and are flushed with it. With `commit_siblings = 0` it sleeps if it is alone, too.
So a commit takes as long as on a disk that is slower by that much, for every subject alike. It is kinder than such a
disk in one thing: who commits while the flush sleeps is still in time for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pgbudget.embedded import Server


@contextmanager
def slower_commits(server: Server, delay_us: int) -> Iterator[None]:
    """The whole server with every flush so much slower; 0 leaves it as it is."""
    if not delay_us:
        yield
        return
    _set(server, f"ALTER SYSTEM SET commit_delay = {delay_us}", "ALTER SYSTEM SET commit_siblings = 0")
    try:
        _await(server, str(delay_us))
        yield
    finally:
        _set(server, "ALTER SYSTEM RESET commit_delay", "ALTER SYSTEM RESET commit_siblings")
        _await(server, "0")


def _set(server: Server, *statements: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for statement in (*statements, "SELECT pg_reload_conf()"):
            connection.execute(statement.encode())


def _await(server: Server, delay_us: str, seconds: float = 10) -> None:
    """New sessions have it a moment after it was set."""
    deadline = time.monotonic() + seconds
    while True:
        with psycopg.connect(server.dsn()) as connection:
            if connection.execute("SELECT setting FROM pg_settings WHERE name = 'commit_delay'").fetchone() == (
                delay_us,
            ):
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"commit_delay is not {delay_us} after {seconds} s")
        time.sleep(0.01)
