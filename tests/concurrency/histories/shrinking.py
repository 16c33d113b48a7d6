"""Makes a program smaller that goes wrong, by trying again without this or that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.concurrency.histories.programs import Program
from tests.concurrency.histories.running import History

TRIES = 20
SECONDS = 20.0


def smaller(program: Program) -> Iterator[Program]:
    """Without one client, or one operation."""
    clients = program.clients
    for number, work in enumerate(clients):
        yield replace(program, clients=clients[:number] + clients[number + 1 :])
        for place in range(len(work)):
            rest = work[:place] + work[place + 1 :]
            yield replace(program, clients=(*clients[:number], rest, *clients[number + 1 :]))
    for place in range(len(program.prologue)):
        yield replace(program, prologue=program.prologue[:place] + program.prologue[place + 1 :])


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
