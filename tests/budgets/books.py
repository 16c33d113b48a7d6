"""Clients of several budgets at once, and the books that they keep: what each balance can have been at which time.

A change is committed at some moment between the begin and the end of its call. So a balance has had no more, while
another call went on, than all that was begun before that ended, less all that was given back before it began.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import psycopg

from tests.budgets.batches import reserve_many, settle_many
from tests.race import Connection, Job
from tests.rows import call, spend


class Who(NamedTuple):
    """Whose money it is. Of team `free` spend goes on unasked, and no limit of its own comes near it."""

    team: str
    user: str

    @property
    def metadata(self) -> dict[str, object]:
        return self._asdict()

    def member(self, dimension: str) -> str:
        return "*" if dimension == "*" else str(getattr(self, dimension))


FREE = Who("free", "nobody")

DIMENSIONS = {"daily": "*", "team": "team", "one team": "team", "user": "user"}
"""Of the budgets that may refuse, by their names."""


class Time(NamedTuple):
    """When a call was under way, in seconds."""

    began: float
    ended: float


class Refusal(NamedTuple):
    time: Time
    who: Who
    missing: Decimal
    """What was asked for, less what was counted already."""
    verdict: Any

    @property
    def dimension(self) -> str:
        return DIMENSIONS[self.verdict.budget]


@dataclass
class Books:
    """What all clients have written, and what they were refused."""

    changes: dict[tuple[str, str], list[tuple[Time, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    refusals: list[Refusal] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    """Seconds that the longest call took."""

    def client(
        self, pairs: list[Who], sizes: list[Decimal], seed: int, calls: int, shares: dict[str, int]
    ) -> Job[None]:
        """A client that makes so many calls, of each kind as often as its share says, and notes them here."""
        return lambda connection: Client(connection, self, pairs, sizes, seed).work(calls, shares)

    def total(self) -> Decimal:
        return sum((change for _, change in self.changes["*", "*"]), Decimal(0))

    def note(self, who: Who, change: Decimal, during: Time) -> None:
        for dimension in ("*", "team", "user"):
            self.changes[dimension, who.member(dimension)].append((during, change))

    def false_refusals(self) -> list[str]:
        """Those for which there was room from their begin to their end."""
        most = {balance: self._most(balance) for balance in list(self.changes)}
        return [
            f"{one.missing} of {one.who} refused by {one.verdict}, though no more than {had} was counted"
            for one in self.refusals
            if one.verdict.reason in ("in_flight", "exhausted", "too_large")
            for had in [most[one.dimension, one.who.member(one.dimension)](one.time)]
            if had + one.missing <= one.verdict.limit_amount
        ]

    def _most(self, balance: tuple[str, str]) -> Callable[[Time], Decimal]:
        """What the balance has had at most, as a function of the time of a call."""
        taken = sorted((during.began, change) for during, change in self.changes[balance] if change > 0)
        given = sorted((during.ended, change) for during, change in self.changes[balance] if change < 0)
        all_taken, all_given = (
            [Decimal(0), *accumulate(change for _, change in changes)] for changes in (taken, given)
        )
        begins, ends = [at for at, _ in taken], [at for at, _ in given]
        return lambda during: all_taken[bisect_right(begins, during.ended)] + all_given[bisect_left(ends, during.began)]


class Hold(NamedTuple):
    id: UUID
    who: Who
    cost: Decimal


class Client:
    """Reserves and ends holds at random, as it is told how often. Its own holds it ends once, and for no more."""

    functions: ClassVar[list[str]] = ["reserve", "reserve_advisory"]

    def __init__(self, connection: Connection, books: Books, pairs: list[Who], sizes: list[Decimal], seed: int) -> None:
        self.connection = connection
        self.books = books
        self.pairs = pairs
        self.sizes = sizes
        self.dice = random.Random(seed)  # noqa: S311 - the same calls for the same seed
        self.holds: list[Hold] = []
        self._began = 0.0

    def work(self, calls: int, shares: dict[str, int]) -> None:
        """Make so many calls; an error is counted."""
        for name in self.dice.choices(list(shares), list(shares.values()), k=calls):
            self._make(name)

    def _make(self, name: str) -> None:
        try:
            getattr(self, name)()
        except psycopg.Error as error:
            self.books.errors[f"{name} {error.sqlstate}"] += 1

    def reserve(self) -> None:
        self.ask(self.dice.choice(self.pairs), self.dice.choice(self.sizes))

    def ask(self, who: Who, cost: Decimal) -> bool:
        """Whether it was granted."""
        function = self.dice.choice(self.functions)
        with self._timed() as during, self._open():
            verdict = call(self.connection, function, cost, "svc", who.metadata)
        return self._asked(who, cost, verdict, during())

    def reserve_many(self) -> None:
        asked = [(self.dice.choice(self.pairs), self.dice.choice(self.sizes)) for _ in range(self.dice.randrange(1, 8))]
        with self._timed() as during:
            verdicts = reserve_many(
                self.connection,
                [{"estimated_cost": str(cost), "service_name": "svc", "metadata": who.metadata} for who, cost in asked],
            )
        for (who, cost), verdict in zip(asked, verdicts, strict=True):
            self._asked(who, cost, verdict, during())

    def _asked(self, who: Who, cost: Decimal, verdict: Any, during: Time) -> bool:
        if verdict.can_proceed:
            self.holds.append(Hold(verdict.reservation_id, who, cost))
            self.books.note(who, cost, during)
        else:
            self.books.refusals.append(Refusal(during, who, cost, verdict))
        return bool(verdict.can_proceed)

    def extend(self) -> None:
        if (hold := self._take()) is None:
            return
        cost = self.dice.choice(self.sizes)
        with self._timed() as during:
            verdict = call(self.connection, "extend", hold.id, cost)
        if verdict.can_proceed:
            self.books.note(hold.who, cost - hold.cost, during())
        else:
            self.books.refusals.append(Refusal(during(), hold.who, cost - hold.cost, verdict))
        self.holds.append(hold._replace(cost=cost) if verdict.can_proceed else hold)

    def settle(self) -> None:
        self._end(lambda hold, cost: call(self.connection, "settle", hold.id, cost), self._share)

    def cancel(self) -> None:
        self._end(lambda hold, _: call(self.connection, "cancel", hold.id), lambda _: Decimal(0))

    def update(self) -> None:
        """The application settles."""
        self._end(
            lambda hold, cost: self.connection.execute(
                """UPDATE public.cost_tracking SET cost = %s, metadata = '{"type": "actual"}' WHERE id = %s""",
                (cost, hold.id),
            ),
            self._share,
        )

    def delete(self) -> None:
        """The application cancels."""
        self._end(
            lambda hold, _: self.connection.execute("DELETE FROM public.cost_tracking WHERE id = %s", [hold.id]),
            lambda _: Decimal(0),
        )

    def settle_many(self) -> None:
        holds = [hold for hold in (self._take() for _ in range(5)) if hold is not None]
        costs = [self._share(hold) for hold in holds]
        with self._timed() as during:
            settle_many(
                self.connection,
                [{"reservation_id": str(h.id), "actual_cost": str(c)} for h, c in zip(holds, costs, strict=True)],
            )
        for hold, cost in zip(holds, costs, strict=True):
            self.books.note(hold.who, cost - hold.cost, during())

    def _end(self, end: Callable[[Hold, Decimal], object], costs: Callable[[Hold], Decimal]) -> None:
        if (hold := self._take()) is not None:
            cost = costs(hold)
            with self._timed() as during:
                end(hold, cost)
            self.books.note(hold.who, cost - hold.cost, during())

    def _share(self, hold: Hold) -> Decimal:
        return hold.cost * self.dice.randrange(11) / 10

    def _take(self) -> Hold | None:
        return self.holds.pop(self.dice.randrange(len(self.holds))) if self.holds else None

    # Spend that nobody asks for, and what lapses, is of team `free`.

    def record(self) -> None:
        with self._timed() as during:
            call(self.connection, "record", "0.01", "svc", FREE.metadata)
        self.books.note(FREE, Decimal("0.01"), during())

    def insert(self) -> None:
        with self._timed() as during:
            spend(self.connection, "0.01", metadata=FREE.metadata)
        self.books.note(FREE, Decimal("0.01"), during())

    def insert_in_a_snapshot(self) -> None:
        """It may have to be repeated: a budget was set, or dropped, since the snapshot was taken."""
        level = self.dice.choice(["REPEATABLE READ", "SERIALIZABLE"])
        with self._timed() as during, self.connection.transaction():
            self.connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
            self.connection.execute("SELECT FROM budget.status")
            time.sleep(self.dice.random() / 100)
            spend(self.connection, "0.01", metadata=FREE.metadata)
        self.books.note(FREE, Decimal("0.01"), during())

    def book(self) -> None:
        """Direct spend in the place of a hold, and no more than that."""
        self._replace(lambda who, cost: spend(self.connection, cost, metadata=who.metadata))

    def record_instead(self) -> None:
        self._replace(lambda who, cost: call(self.connection, "record", cost, "svc", who.metadata))

    def _replace(self, write: Callable[[Who, Decimal], object]) -> None:
        def end(hold: Hold, cost: Decimal) -> None:
            with self.connection.transaction():
                self.connection.execute("DELETE FROM public.cost_tracking WHERE id = %s", [hold.id])
                write(hold.who, cost)

        self._end(end, self._share)

    def lapse(self) -> None:
        """Reserve what lapses before it is seen. Nobody knows when the sweeper comes: so far it is counted."""
        with self._timed() as during:
            call(self.connection, "reserve", "0.01", "svc", FREE.metadata, p_ttl="1 microsecond")
        self.books.note(FREE, Decimal("0.01"), during())

    @contextmanager
    def _open(self) -> Iterator[None]:
        """A transaction that now and then stays open for a moment, so that others decide before it is committed."""
        with self.connection.transaction():
            yield
            time.sleep(self.dice.choice([0, 0, 0.003]))

    @contextmanager
    def _timed(self) -> Iterator[Callable[[], Time]]:
        """The time of the block, once that is over."""
        began = time.monotonic()
        ended: list[float] = []
        yield lambda: Time(began, ended[0])
        ended.append(time.monotonic())
        self.books.longest = max(self.books.longest, ended[0] - began)
