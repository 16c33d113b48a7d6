"""Crowds and sessions for the tests of concurrency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone

import pytest

from tests.concurrency.calls import set_limits
from tests.concurrency.sessions import Session
from tests.conftest import Connect
from tests.pgtap import is_empty
from tests.race import Connection, Crowd


@pytest.fixture(autouse=True)
def midday(db: Connection) -> None:
    """Budget in a time zone where it is midday now, so that no test is caught by midnight unless it is about that."""
    set_limits(timezone=f"Etc/GMT{datetime.now(timezone.utc).hour - 12:+d}")(db)  # GMT-3 is three hours *ahead*


@pytest.fixture(autouse=True)
def healthy(midday: None, db: Connection) -> Iterator[None]:
    """Whatever a test does, the invariants hold at its end."""
    yield
    is_empty(db, "SELECT * FROM budget.invariants")


@pytest.fixture
def crowd(connect: Connect) -> Iterator[Callable[[int], Crowd]]:
    """Make a crowd of so many clients."""
    with ExitStack() as opened:
        yield lambda clients: opened.enter_context(Crowd(connect() for _ in range(clients)))


@pytest.fixture
def session(connect: Connect, db: Connection) -> Iterator[Callable[[], Session]]:
    """Open a session; all are closed at the end."""
    with ExitStack() as opened:

        def open_session() -> Session:
            session = Session(connect(), observer=db)
            opened.callback(session.close)
            return session

        yield open_session
