"""Sixty-four sessions fill what is left of a budget, which is less than one slot's worth: to the end, not past it."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.concurrency.conftest import healthy, midday
from tests.race import Connection, Crowd
from tests.rows import call, spend, total

pytestmark = pytest.mark.proof

__all__ = ["healthy", "midday"]

CLIENTS = 64
LIMIT = Decimal(100)
SLOTS = 16
LEFT = Decimal("3.21")
SIZES = [Decimal("0.11"), Decimal("0.07"), Decimal("0.05")]
RUNS = int(os.environ.get("RUNS", "5"))
"""How often; a deadlock would end it."""


def begin(connection: Connection) -> Decimal:
    """Spread the room over the slots, while there is enough."""
    cost = Decimal("0.5")
    return cost if call(connection, "reserve_advisory", cost, "svc").can_proceed else Decimal(0)


def fill(connection: Connection) -> Decimal:
    """Reserve as long as there is room, the larger amounts first; what was granted."""
    granted = Decimal(0)
    for size in SIZES:
        while call(connection, "reserve_advisory", size, "svc").can_proceed:
            granted += size
    return granted


@pytest.mark.parametrize("slots", [1, SLOTS])
def test_it_is_filled_to_within_the_smallest_request(db: Connection, crowd: Callable[[int], Crowd], slots: int) -> None:
    assert LEFT < LIMIT / SLOTS
    call(db, "set_budget", "daily", None, p_slots=slots)
    clients = crowd(CLIENTS)
    for _ in range(RUNS):
        spend(db, LIMIT - LEFT - sum(clients.race([begin] * CLIENTS)))
        granted = sum(clients.race([fill] * CLIENTS))
        assert LEFT - min(SIZES) < granted <= LEFT
        assert total(db) == LIMIT - LEFT + granted
        db.execute("TRUNCATE public.cost_tracking")
