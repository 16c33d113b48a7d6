"""The tests of concurrency begin at midday, and end with a healthy database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clock import midday_zone
from tests.concurrency.calls import set_limits
from tests.pgtap import is_empty
from tests.race import Connection


@pytest.fixture(autouse=True)
def midday(db: Connection) -> None:
    """Budget in a time zone where it is midday now, so that no test is caught by midnight unless it is about that."""
    set_limits(timezone=midday_zone())(db)


@pytest.fixture(autouse=True)
def healthy(db: Connection) -> Iterator[None]:
    """Whatever a test does, the invariants hold at its end."""
    yield
    is_empty(db, "SELECT * FROM budget.invariants")
