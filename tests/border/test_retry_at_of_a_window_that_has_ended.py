"""A hold that is extended after its day: whoever waits for that day to reset waits for ever, and is told no time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import chain
from tests.clock import NOON, Clock
from tests.migration.support import session
from tests.rows import Connection, call, expect, reserve, spend


@pytest.fixture(params=["core", "budgets"])
def db(request: pytest.FixtureRequest, empty_dsn: str) -> Any:
    chain.load(empty_dsn, request.param)
    with session(empty_dsn) as connection:
        yield connection


@pytest.fixture
def clock(db: Connection) -> Clock:
    return Clock(db)


def test_exhausted(db: Connection, clock: Clock) -> None:
    hold = reserve(db, 10, p_ttl=timedelta(hours=24))
    spend(db, 80)
    expect(call(db, "extend", hold, 30), reason="exhausted", retry_at=NOON + timedelta(hours=12))
    clock.advance(hours=13)
    ended = NOON + timedelta(hours=12)
    expect(call(db, "extend", hold, 30), can_proceed=False, reason="exhausted", resets_at=ended, retry_at=None)


def test_in_flight(db: Connection, clock: Clock) -> None:
    """The other holds of that day lapse all the same."""
    hold = reserve(db, 10, p_ttl=timedelta(hours=24))
    reserve(db, 80, p_ttl=timedelta(hours=20))
    clock.advance(hours=13)
    expect(call(db, "extend", hold, 30), can_proceed=False, reason="in_flight", retry_at=NOON + timedelta(hours=20))
