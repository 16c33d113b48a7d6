"""Runs two sessions step by step, in every order that their steps can be merged in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

from tests.concurrency.calls import change, sqlstate
from tests.concurrency.sessions import Session, Step
from tests.race import Job, until

LEFT, RIGHT = 0, 1

Order = tuple[int, ...]


class Named(NamedTuple):
    """A step of a session."""

    name: str
    job: Job[Any]


COMMIT = Named("commit", change("COMMIT"))
ROLLBACK = Named("rollback", change("ROLLBACK"))


def merges(left: int, right: int) -> Iterator[Order]:
    """All ways to merge so many steps of the one with so many of the other."""
    for places in combinations(range(left + right), left):
        yield tuple(LEFT if place in places else RIGHT for place in range(left + right))


@dataclass
class Trace:
    """What was seen: the answers of the steps of both sessions, and which of them had to wait."""

    answers: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))
    waited: list[tuple[int, str]] = field(default_factory=list)
    is_possible: bool = True
    """False: a session was to go on that was still waiting, and the rest was left undone."""
    story: list[str] = field(default_factory=list)


class Interleaving:
    """The steps of two sessions, each in a transaction of its own, which their last steps end.

    With `patient`, a step that has to wait is left waiting, and others go on; else it waits for its own lock timeout.
    """

    def __init__(
        self, sessions: tuple[Session, Session], sides: Sequence[Sequence[Named]], patient: bool = True
    ) -> None:
        self._sessions = sessions
        self._sides = sides
        self._patient = patient
        self._under_way: dict[int, tuple[str, Step[Any]]] = {}
        self._trace = Trace()

    def run(self, order: Order) -> Trace:
        """Take the steps in this order, as far as it is possible."""
        places = [0, 0]
        for session in self._sessions:
            session.begin()
        for who in order:
            if who in self._under_way:
                self._trace.is_possible = False
                self._abandon()
                break
            step = self._sides[who][places[who]]
            places[who] += 1
            self._begin(who, step)
        assert not self._under_way
        return self._trace

    def _begin(self, who: int, named: Named) -> None:
        step = self._sessions[who].start(sqlstate(named.job))
        self._under_way[who] = named.name, step
        if self._waits(who):
            self._trace.waited.append((who, named.name))
            self._trace.story.append(f"{'left' if who == LEFT else 'right'} {named.name} waits")
            if not self._patient:
                self._end(who)
        if len(self._under_way) == 2:
            self._deadlock()
        elif 1 - who in self._under_way:
            self._waits(1 - who)

    def _waits(self, who: int) -> bool:
        _, step = self._under_way[who]
        if step.stands(self._sessions[1 - who]):
            return True
        self._end(who)
        return False

    def _end(self, who: int) -> None:
        name, step = self._under_way.pop(who)
        self._trace.answers[who][name] = answer = step.result()
        self._trace.story.append(f"{'left' if who == LEFT else 'right'} {name}: {answer}")

    def _deadlock(self) -> None:
        """Both wait, so the server ends one of them, and lets the other through."""
        under_way = dict(self._under_way)
        until(lambda: any(step.is_over for _, step in under_way.values()), "a deadlock to be found")
        for who in sorted(under_way, key=lambda who: not under_way[who][1].is_over):
            self._end(who)

    def _abandon(self) -> None:
        for who in (LEFT, RIGHT):
            if who not in self._under_way:
                self._sessions[who].rollback()
        for who in list(self._under_way):
            self._end(who)
            self._sessions[who].rollback()
