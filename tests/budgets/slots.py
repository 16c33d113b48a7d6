"""Sessions by the slot that they reserve from: it goes by the number of the backend."""

from __future__ import annotations

from collections.abc import Callable

from tests.concurrency.sessions import Session


def in_every_slot(open_session: Callable[[], Session], slots: int) -> list[Session]:
    """A session in each slot, that of slot 1 first."""
    found: dict[int, Session] = {}
    for _ in range(40 * slots):
        if len(found) == slots:
            break
        session = open_session()
        found.setdefault(1 + session.pid % slots, session)
    return [found[slot] for slot in range(1, slots + 1)]
