"""What the driver's tests look at, and do to the server, from a connection of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]
SECONDS = 30.0


def ledger(db: Connection, hold: UUID | None) -> dict[str, Any]:
    """The row of a hold."""
    with db.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM public.cost_tracking WHERE id = %s", [hold]).fetchone()
    assert row is not None
    return row


def rows(db: Connection) -> int:
    """How many rows the ledger has."""
    return int(scalar(db, "SELECT count(*) FROM public.cost_tracking"))


def scalar(db: Connection, query: str) -> Any:
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def terminate(db: Connection, pid: int | None = None) -> None:
    """End one session, or every other of this database, from the server's side."""
    db.execute(
        """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid = coalesce(%s, pid)""",
        [pid],
    )


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def waiting(db: Connection) -> bool:
    """Does a session of this database wait for a lock?"""
    query = """SELECT count(*) > 0 FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    return bool(scalar(db, query))
