"""Every test of routing starts at noon, with nothing spent, limits 20, 50 and 100, and three proposers."""

from __future__ import annotations

import pytest

from tests.clock import Clock
from tests.concurrency.conftest import healthy
from tests.race import Connection
from tests.routing.orders import CHEAP, GENERAL, STRONG, add_proposer

__all__ = ["healthy"]


@pytest.fixture(autouse=True)
def clock(db: Connection) -> Clock:
    """It stands at noon."""
    return Clock(db)


@pytest.fixture(autouse=True)
def proposers(db: Connection) -> None:
    add_proposer(db, GENERAL, "0.70", 0.0000025)
    add_proposer(db, STRONG, "1.00", 0.000003)
    add_proposer(db, CHEAP, "0.30", 0.00000015)
