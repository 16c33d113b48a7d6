"""Random histories: eight clients at once, and every answer as if they had come one at a time.

A history that goes wrong is told with its seed. Set in the environment, HISTORY_SEED=123 runs that one program again
and again until it does, and HISTORIES=100000 runs so many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import repeat

import pytest

from tests.concurrency.histories.checking import faults, story
from tests.concurrency.histories.programs import CLIENTS, Program, program
from tests.concurrency.histories.running import History, run
from tests.concurrency.histories.shrinking import shrink
from tests.race import Connection, Crowd

HISTORIES = int(os.environ.get("HISTORIES", "2000"))
BATCH = 250
ROUNDS = 1000
"""How often the program of HISTORY_SEED is run."""


def seeds() -> list[Iterable[int]]:
    """In batches, so that they can be run side by side."""
    if seed := os.environ.get("HISTORY_SEED"):
        return [repeat(int(seed), ROUNDS)]
    return [range(first, min(first + BATCH, HISTORIES)) for first in range(0, HISTORIES, BATCH)]


@pytest.mark.parametrize("seeds", seeds(), ids=str)
def test_every_history_has_an_order(db: Connection, crowd: Callable[[int], Crowd], seeds: Iterable[int]) -> None:
    clients = crowd(CLIENTS)

    def wrong(program: Program) -> History | None:
        history = run(clients, program)
        return history if list(faults(history)) else None

    for number, seed in enumerate(seeds):
        if number % 25 == 0:
            db.execute("VACUUM public.cost_tracking, public.escalations")
        if (history := wrong(program(seed))) is not None:
            history = shrink(history, wrong)
            pytest.fail(story(history, list(faults(history))), pytrace=False)
