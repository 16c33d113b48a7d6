"""Races: real connections, each with a thread of its own, let go by one barrier. Every wait is for an event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import psycopg

SECONDS = 300.0
"""How long a test waits for an event before it gives up. Only a hang takes that long, on a machine however busy."""

Connection = psycopg.Connection[Any]
T = TypeVar("T")
Job = Callable[[Connection], T]


def barrier(parties: int) -> threading.Barrier:
    """A barrier that breaks instead of waiting for ever."""
    return threading.Barrier(parties, timeout=SECONDS)


def bound(connection: Connection) -> Connection:
    """Let no statement of this connection run for ever, so that no thread that waits for one does."""
    connection.execute(f"SET statement_timeout = {int(SECONDS * 1000)}".encode())
    return connection


def waiting(db: Connection) -> bool:
    """Whether a session of this database waits for a lock."""
    query = """SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    return db.execute(query).fetchone() is not None


def terminate(db: Connection, pid: int | None = None) -> None:
    """End one session, or every other of this database, from the server's side; it is gone afterwards."""
    db.execute(
        """SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid = coalesce(%s, pid)""",
        [int(SECONDS * 1000), pid],
    )


def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until the condition holds, but not for ever; `what` says what was waited for."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.002)


class Crowd:
    """Clients that start together. Their connections and threads are kept, so that a test can hold many rounds."""

    def __init__(self, connections: Iterable[Connection], seconds: float = SECONDS) -> None:
        """`seconds`: how long a round may take."""
        self._seconds = seconds
        self.connections = [bound(connection) for connection in connections]
        self._threads = ThreadPoolExecutor(len(self.connections))

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()

    def race(self, jobs: Sequence[Job[T]]) -> list[T]:
        """Run job n on connection n, all from one barrier; their results in the same order, or the first error."""
        results: list[T] = []
        for outcome in self.outcomes(jobs):
            if isinstance(outcome, psycopg.Error):
                raise outcome
            results.append(outcome)
        return results

    def race_beside(
        self, others: Sequence[Callable[[threading.Event], Job[object]]], jobs: Sequence[Job[T]]
    ) -> list[T]:
        """Like `race`, and beside the jobs others go on until all are over, as the event says that they are given.

        Whoever of them fails ends it for the others.
        """
        over = threading.Event()
        left = list(jobs)

        def until_over(job: Job[Any], is_last: Callable[[], bool]) -> Job[Any]:
            def run(connection: Connection) -> Any:
                try:
                    return job(connection)
                finally:
                    if is_last():
                        over.set()

            return run

        def is_last_job() -> bool:
            left.pop()
            return not left

        every = [until_over(job, is_last_job) for job in jobs] + [until_over(job(over), lambda: True) for job in others]
        return self.race(every)[: len(jobs)]

    def outcomes(self, jobs: Sequence[Job[T]]) -> list[T | psycopg.Error]:
        """Like `race`, but what the database answers with an error has that error in its place."""
        start = barrier(len(jobs))

        def run(job: Job[T], connection: Connection) -> T | psycopg.Error:
            start.wait()
            try:
                return job(connection)
            except psycopg.Error as error:
                return error

        # Each job occupies a thread until all have come to the barrier, so every job has a thread of its own.
        running = [
            self._threads.submit(run, job, connection)
            for job, connection in zip(jobs, self.connections[: len(jobs)], strict=True)
        ]
        return [future.result(self._seconds) for future in running]
