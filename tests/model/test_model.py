"""The database agrees with the model at every step, through many random lives of a budget.

A run is the same every time: a few lives in `make test`, many in `make proof`. Where MODEL_LIVES asks for another
number of lives, every run tries new ones. For thousands of them pytest needs `-o faulthandler_timeout=0`.
"""

from __future__ import annotations

import decimal
import os
from collections import Counter
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.database import Database
from tests.model.machine import BudgetMachine

FEW, MANY = 30, 400
STEPS = 50

# A run that misses one of these says little.
EXPECTED = {
    *("reason granted", "reason replayed", "reason in_flight", "reason exhausted", "reason too_large"),
    *("reason frozen", "reason ended"),
    *("status actual", "status cancelled", "over_limit True", "over_limit False", "over_limit None"),
    *("late True", "late False"),
    *("22003", "22023", "23505", "23514", "PB001", "PB002", "PB003", "PB004", "PB005"),
}


@pytest.mark.parametrize("lives", [FEW, pytest.param(MANY, marks=pytest.mark.proof)])
def test_database_and_model_agree_at_every_step(db: psycopg.Connection[Any], lives: int) -> None:
    class Lives(BudgetMachine):
        database = Database(db)
        seen: ClassVar[Counter[str]] = Counter()

    asked = lives if lives == FEW else int(os.environ.get("MODEL_LIVES", MANY))
    # Sums of amounts near 1e15 with 12 decimals need more than the usual 28 digits.
    with decimal.localcontext(decimal.Context(prec=80)):
        run_state_machine_as_test(
            Lives,
            settings=settings(
                max_examples=asked,
                stateful_step_count=STEPS + 1,  # the first begins the life
                derandomize=asked == lives,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    if lives == FEW:
        return
    assert Lives.seen["lives of 50 steps"] >= min(asked, 200), "too few lives were long enough"
    assert set(Lives.seen) >= EXPECTED, f"never seen: {EXPECTED - set(Lives.seen)}"
