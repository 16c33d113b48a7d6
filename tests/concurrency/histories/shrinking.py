"""Makes a program smaller that goes wrong, by trying again without this or that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.concurrency.histories.programs import Program
from tests.concurrency.histories.running import History

TRIES = 8
SECONDS = 20.0


def smaller(program: Program) -> Iterator[Program]:
    """Without one client, without half of what one does, and without one operation; the smallest first."""
    clients = (program.prologue, *program.clients)

    def without(number: int, start: int, end: int) -> Program:
        left = list(clients)
        left[number] = left[number][:start] + left[number][end:]
        return replace(program, prologue=left[0], clients=tuple(filter(None, left[1:])))

    for share in (1, 2, 20):
        for number, work in enumerate(clients):
            size = -(-len(work) // share)
            for start in range(0, len(work), max(size, 1)):
                if (candidate := without(number, start, start + size)).clients:
                    yield candidate


def shrink(history: History, again: Callable[[Program], History | None]) -> History:
    """The smallest history found in a while that goes wrong as well. `again` runs a program; None: all was well.

    What is wrong by chance alone may not go wrong again: then the history stays as it is.
    """
    deadline = time.monotonic() + SECONDS

    def one_smaller(program: Program) -> History | None:
        for candidate in smaller(program):
            for _ in range(TRIES):
                if time.monotonic() > deadline:
                    return None
                if (found := again(candidate)) is not None:
                    return found
        return None

    while (found := one_smaller(history.program)) is not None:
        history = found
    return history
