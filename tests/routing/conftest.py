"""Every test of routing starts at noon, with nothing spent, limits 20, 50 and 100, and three proposers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.clock import Clock
from tests.concurrency.sessions import Session
from tests.conftest import Connect
from tests.pgtap import is_empty
from tests.race import Connection
from tests.routing.orders import CHEAP, GENERAL, STRONG, add_proposer


@pytest.fixture(autouse=True)
def clock(db: Connection) -> Clock:
    """It stands at noon."""
    return Clock(db)


@pytest.fixture(autouse=True)
def healthy(db: Connection) -> Iterator[None]:
    """Whatever a test does, the invariants hold at its end."""
    yield
    is_empty(db, "SELECT * FROM budget.invariants")


@pytest.fixture(autouse=True)
def proposers(db: Connection) -> None:
    add_proposer(db, GENERAL, "0.70", 0.0000025)
    add_proposer(db, STRONG, "1.00", 0.000003)
    add_proposer(db, CHEAP, "0.30", 0.00000015)


@pytest.fixture
def session(connect: Connect, db: Connection) -> Iterator[Callable[[], Session]]:
    """Open a session whose statements may be left waiting; all are closed at the end."""
    with ExitStack() as opened:

        def open_session() -> Session:
            session = Session(connect(), observer=db)
            opened.callback(session.close)
            return session

        yield open_session
