"""Clients that do everything there is to do, at random and at once, and remember what they were answered."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus

from tests import rows
from tests.faults import promises
from tests.faults.promises import Call, Row, Rows
from tests.race import SECONDS, Connection, barrier
from tests.series import by_series

CLIENTS = 6

Settings = Mapping[str, str]
"""Of a client's session."""

DURABLE: tuple[Settings, ...] = tuple({"synchronous_commit": value} for value in ("off", "local", "on"))
"""What callers may ask for; what they are answered is durable all the same."""


UNDONE = {"53100": "disk", "55P03": "lock", "57014": "time"}
"""What was not to be had, by SQLSTATE: nothing was done, and the session goes on."""


def lacked(error: psycopg.Error) -> str:
    too_large = "could not extend file" in str(error)  # a limit of the system's that has no SQLSTATE
    return "disk" if too_large else UNDONE.get(error.sqlstate or "", "nothing")


@contextmanager
def until_lost() -> Iterator[None]:
    """What the block does with a connection ends when that is lost, and no other error is passed over."""
    try:
        yield
    except psycopg.Error as error:
        last_words = error.diag.severity_nonlocalized in ("FATAL", "PANIC")
        if not (last_words or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None)):
            raise


class Sweep(NamedTuple):
    """What one `budget.expire` did."""

    expired: int
    released: Decimal


class Client:
    """One caller. Holds of a short time to live it abandons to whoever sweeps; all others it ends itself."""

    def __init__(self, dsn: str, seed: str, settings: Settings, lacking: Collection[str]) -> None:
        self._dsn, self._lacking = dsn, lacking
        settings = {"statement_timeout": f"{SECONDS:.0f}s", **settings}
        self._options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._dice = random.Random(seed)  # noqa: S311 - the same calls in every run
        self.promised: dict[UUID, list[Row | None]] = {}
        """What each row may be by the answers: one thing, but for holds that lapse and writes that are not durable."""
        self.sweeps: list[Sweep] = []
        self.lost = 0
        self.doubt: Call | None = None
        self.answered, self.doubts, self.undone = Counter[str](), Counter[str](), Counter[str]()
        self._durable = settings.get("synchronous_commit", "on") == "on"

    def connected(self, dsn: str | None = None) -> Connection:
        return psycopg.connect(dsn or self._dsn, autocommit=True, options=self._options)

    def work(self, connection: Connection, until: threading.Event) -> None:
        """Call after call, until told to stop or until the connection is lost."""
        with until_lost():
            while not until.is_set():
                self._do(connection, self._next())

    def work_on(self, until: threading.Event) -> None:
        """Like `work`, but a lost connection is replaced, and the call that was under way repeated."""
        while not until.is_set():
            with until_lost(), self.connected() as connection:
                self.settle_doubt(connection)
                self.work(connection, until)
            self.lost += not until.is_set()

    def settle_doubt(self, connection: Connection) -> None:
        """Repeat the call that was under way when the connection was lost."""
        if self.doubt is not None:
            self._note(promises.settled_doubt(connection, self.doubt))
            self.doubt = None

    def _do(self, connection: Connection, call: Call) -> None:
        self.doubt = call
        self.doubts[call.name] += 1
        try:
            self._note(call.send(connection))
            self.answered[call.name] += 1
        except psycopg.Error as error:
            if (lack := lacked(error)) not in self._lacking:
                raise
            while connection.info.transaction_status != TransactionStatus.IDLE:
                with suppress(psycopg.errors.QueryCanceled):  # there was no time for a ROLLBACK either
                    connection.rollback()
            self._note([call.before])
            self.undone[lack] += 1
        self.doubt = None
        self.doubts[call.name] -= 1

    def _note(self, said: list[Rows]) -> None:
        for row_id in said[0]:
            self.promised[row_id] = [rows[row_id] for rows in said]

    def _next(self) -> Call:
        dice, new = self._dice, UUID(int=self._dice.getrandbits(128), version=4)
        variant = dice.choice(("reserve", "reserve_advisory"))
        estimate, cent = Decimal(dice.randint(5, 20)), Decimal(dice.randint(0, 3)) / 100
        mine = [
            (hold, row)
            for hold, may_be in self.promised.items()
            for row in may_be
            if row and row.lapses and len(may_be) == 1
        ]
        shares = {"reserve": 3, "abandon": 1, "end": 4 * len(mine), "spend": 2, "sweep": 1} | by_series(
            core={}, budgets={"reserve many": 2, "end many": 4 * (len(mine) > 1), "administer": 1}
        )
        [choice] = dice.choices(list(shares), list(shares.values()))
        if choice == "end":
            hold, row = dice.choice(mine)
            return self._end(hold, row, new, estimate, cent)
        return {
            "reserve": promises.reserve(variant, new, estimate),
            "abandon": promises.reserve(variant, new, estimate, "1 millisecond"),
            "spend": dice.choice((promises.record(new, cent), promises.insert(new, cent, durable=self._durable))),
            "sweep": Call("expire", {}, [{}], self._sweep),
            "reserve many": promises.reserve_many([new, UUID(int=new.int ^ 1)], estimate / 2),
            "end many": promises.settle_many(dict(mine[:3]), cent),
            "administer": (
                promises.set_slots(new.int % 5 + 1),
                promises.administer("prune"),
                promises.reconcile_nothing(),
            )[new.int % 3],
        }[choice]

    def _end(self, hold: UUID, row: Row, new: UUID, estimate: Decimal, cent: Decimal) -> Call:
        settle = promises.settle(hold, row, cent if self._dice.random() < 0.8 else row.cost + cent)
        choices = (
            settle,
            promises.cancel(hold, row),
            promises.extend(hold, row, row.cost + Decimal(self._dice.randint(1, 5))),
            promises.together(settle, promises.reserve("reserve_advisory", new, estimate)),
            promises.together(promises.record(new, cent), promises.cancel(hold, row)),
        )
        return self._dice.choice(choices)

    def _sweep(self, connection: Connection) -> list[Rows]:
        self.sweeps.append(Sweep(*rows.call(connection, "expire", 3)))
        return [{}]


class Load:
    """A crowd of clients under one seed. They may come to lack what `lacking` names: disk, lock or time."""

    def __init__(
        self, dsn: str, seed: str, settings: Sequence[Settings] = ({},), lacking: Collection[str] = ()
    ) -> None:
        self.clients = [Client(dsn, f"{seed}/{n}", settings[n % len(settings)], lacking) for n in range(CLIENTS)]

    @contextmanager
    def running(self, *, again: bool = False) -> Iterator[None]:
        """Let all clients work, from one barrier, until they have lost their connections.

        With `again` a client whose connection is lost takes a new one and goes on, until the end of the block.
        """
        start, stop = barrier(CLIENTS + 1), threading.Event()

        def work(client: Client) -> None:
            if again:
                start.wait()
                client.work_on(stop)
            else:
                with client.connected() as connection:
                    start.wait()
                    client.work(connection, stop)

        with ThreadPoolExecutor(CLIENTS) as threads:
            working = [threads.submit(work, client) for client in self.clients]
            try:
                start.wait()
                yield
                if not again:
                    futures.wait(working, SECONDS, futures.FIRST_EXCEPTION)
            finally:
                stop.set()
            for future in working:
                future.result(SECONDS)

    @property
    def lost(self) -> int:
        """How many connections were replaced."""
        return sum(client.lost for client in self.clients)

    @property
    def answered(self) -> Counter[str]:
        """How many calls of each name were answered."""
        return sum((client.answered.copy() for client in self.clients), start=Counter[str]())

    @property
    def undone(self) -> Counter[str]:
        """How many calls ended undone for want of disk, of a lock or of time."""
        return sum((client.undone.copy() for client in self.clients), start=Counter[str]())

    def check(self, dsn: str) -> None:
        """All that was promised is there and nothing else, before what is in doubt is repeated and after it.

        Then the day is filled up.
        """
        with self.clients[0].connected(dsn) as connection:
            promises.sound(connection)
            self._check_ledger(connection)
            self._check_sweeps(connection)
        for client in self.clients:
            with client.connected(dsn) as connection:
                client.settle_doubt(connection)
        with self.clients[0].connected(dsn) as connection:
            promises.sound(connection)
            self._check_ledger(connection)
        promises.fill(dsn)

    def _check_ledger(self, connection: Connection) -> None:
        found = promises.ledger(connection)
        for client in self.clients:
            for row_id in client.doubt.before if client.doubt else ():
                found.pop(row_id, None)  # looked at when it is repeated
            for row_id, may_be in client.promised.items():
                if not (client.doubt and row_id in client.doubt.before):
                    row = found.pop(row_id, None)
                    assert row in may_be, f"promised was {may_be}, there is {row}"
        assert not found, "nobody has written these"

    def _check_sweeps(self, connection: Connection) -> None:
        """What a sweep marked bears the number of its transaction: all of it is there or nothing."""
        query = """SELECT count(*)::integer, sum((metadata ->> 'estimated_cost')::numeric) FROM public.cost_tracking
                    WHERE metadata ->> 'type' = 'expired' GROUP BY xmin::text"""
        found = Counter(Sweep(*sweep) for sweep in connection.execute(query.encode()))
        promised = Counter(sweep for client in self.clients for sweep in client.sweeps if sweep.expired)
        in_doubt = sum(client.doubts["expire"] for client in self.clients)
        assert not promised - found, "a sweep that was answered is missing"
        assert (found - promised).total() <= in_doubt, "a sweep is half there"
