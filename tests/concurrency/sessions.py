"""Sessions that are interleaved step by step, in the manner of PostgreSQL's isolation tester.

A statement is started in the session's own thread; whether it waits, and for whom, is what `pg_blocking_pids` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Generic

from psycopg.pq import TransactionStatus

from tests.race import SECONDS, Connection, Job, T, bound, until


class Step(Generic[T]):
    """A statement under way."""

    def __init__(self, session: Session, future: Future[T]) -> None:
        self._session = session
        self._future = future

    def waits_for(self, *holders: Session) -> None:
        """See the server say that the statement waits for these sessions, among others perhaps."""
        wanted = {holder.pid for holder in holders}

        def seen() -> bool:
            if self._future.done():
                raise AssertionError(f"it was to wait, and went on: {self._future.result()}")
            return wanted <= self._session.blockers()

        until(seen, f"a session to be blocked by {wanted}")

    def stands(self, holder: Session) -> bool:
        """Whether it has come to wait for this session, once it has done that or ended."""
        waits = False

        def told() -> bool:
            nonlocal waits
            if wait([self._future], timeout=0.005).done:
                return True
            waits = holder.pid in self._session.blockers()
            return waits

        until(told, f"a session to end or to be blocked by {holder.pid}")
        return waits and not self.is_over

    @property
    def is_over(self) -> bool:
        return self._future.done()

    def result(self) -> T:
        """Its answer or its error."""
        return self._future.result(SECONDS)


class Session:
    """A client whose statements may be left waiting. `observer` is an idle connection to the same database."""

    def __init__(self, connection: Connection, observer: Connection) -> None:
        self.connection = bound(connection)
        self.pid = connection.info.backend_pid
        self._observer = observer
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[Any] | None = None

    def start(self, job: Job[T]) -> Step[T]:
        """Begin a job that may have to wait for another session."""
        self._last = future = self._thread.submit(job, self.connection)
        return Step(self, future)

    def do(self, job: Job[T]) -> T:
        """Run a job that nothing makes wait; one that waits all the same fails by its lock timeout."""
        return self.start(job).result()

    def blockers(self) -> set[int]:
        """The sessions that this one waits for now, by the ids of their backends."""
        row = self._observer.execute("SELECT pg_blocking_pids(%s)", [self.pid]).fetchone()
        return set(row[0]) if row else set()

    def begin(self) -> None:
        """Open a transaction, which stays open until `commit` or `rollback`."""
        self.connection.execute("BEGIN")

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        self.connection.execute("ROLLBACK")

    @contextmanager
    def open(self, job: Job[T]) -> Iterator[T]:
        """Run a job and keep its transaction open, with all its locks; at the end commit it, unless it was ended."""
        self.begin()
        yield self.do(job)
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            self.commit()

    def close(self) -> None:
        """End the session, and with it whatever it holds or, in a test that failed, still waits for."""
        if self._last is not None and not self._last.done():
            self.connection.cancel_safe(timeout=SECONDS)
        self._thread.shutdown()
        self.connection.close()
