"""Who takes part in the load: many that spend, one that administers, one that clears away. Each keeps accounts."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg

from tests.concurrency.calls import (
    VARIANTS,
    cancel,
    check,
    delete,
    expire,
    extend,
    freeze,
    insert,
    record,
    reserve,
    set_limits,
    settle,
    unfreeze,
    update,
)
from tests.race import Connection, Job

HIGHEST_LIMIT, LOWER_LIMIT = 100, 90
LAPSES_AFTER = timedelta(seconds=1)
TRIES = 50
"""How often a call is repeated that waited too long for a lock."""

DOCUMENTED = {
    "55P03": "waited too long for a lock",
    "PB002": "unknown reservation",
    "PB003": "id used with other arguments",
    "PB004": "the hold's state forbids it",
    "23505": "a plain insert of an id that is there",
}


@dataclass
class Accounts:
    """What one of them did, and what the ledger must hold of it."""

    booked: Decimal = Decimal(0)
    calls: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    overshoots: list[str] = field(default_factory=list)
    """Grants that by their own figures should not have been."""

    def __add__(self, other: Accounts) -> Accounts:
        return Accounts(
            self.booked + other.booked,
            self.calls + other.calls,
            self.errors + other.errors,
            self.overshoots + other.overshoots,
        )


class Client:
    """Something that works until its time is over. It goes on after every error, and counts it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a load, no secret
        self.accounts = Accounts()

    def run(self, until: float) -> Job[Accounts]:
        """A job for a crowd."""

        def work(connection: Connection) -> Accounts:
            while time.monotonic() < until:
                self.turn(connection)
            return self.accounts

        return work

    def turn(self, connection: Connection) -> None:
        """One piece of work."""
        raise NotImplementedError

    def ask(self, name: str, connection: Connection, job: Job[Any]) -> Any:
        """The answer, or the SQLSTATE. Who only waited too long tries again: no call may be lost."""
        for _ in range(TRIES):
            self.accounts.calls[name] += 1
            try:
                return job(connection)
            except psycopg.Error as error:
                self.accounts.errors[error.sqlstate or type(error).__name__] += 1
                if error.sqlstate != "55P03":
                    return error.sqlstate
        return "55P03"


class Spender(Client):
    """Reserves, and ends what it was granted in one of many ways; now and then it spends without asking."""

    def turn(self, connection: Connection) -> None:
        [work] = self.dice.choices([self.spend, self.spend_directly, self.look, self.err], [88, 6, 3, 3])
        work(connection)

    def amount(self, most: int = 1000) -> Decimal:
        return Decimal(self.dice.randint(1, most)).scaleb(-2)

    def spend(self, connection: Connection) -> None:
        hold, estimate = uuid4(), self.amount()
        is_abandoned = self.dice.random() < 0.04
        request = reserve(
            self.dice.choice(VARIANTS),
            estimate,
            f"service {self.dice.randrange(8)}",
            p_reservation_id=hold,
            p_ttl=LAPSES_AFTER if is_abandoned else None,
        )
        verdict = self.ask("reserve", connection, request)
        if not self.is_granted(verdict, estimate) or is_abandoned:
            return
        if self.dice.random() < 0.05:
            again = self.ask("replay", connection, request)
            if getattr(again, "reason", again) != "replayed":
                self.accounts.overshoots.append(f"not replayed: {again}")
        [end] = self.dice.choices(
            [self.settle, self.settle_above, self.cancel, self.extend, self.update, self.delete, self.lapse],
            [58, 5, 14, 10, 6, 5, 2],
        )
        end(connection, hold, estimate)

    def is_granted(self, verdict: Any, estimate: Decimal) -> bool:
        if isinstance(verdict, str):
            return False
        self.accounts.calls[verdict.reason] += 1
        fits = verdict.current_total + estimate <= verdict.limit_amount
        if verdict.reason in ("granted", "in_flight", "exhausted") and fits != verdict.can_proceed:
            self.accounts.overshoots.append(f"{estimate}: {verdict}")
        return bool(verdict.can_proceed)

    def book(self, name: str, connection: Connection, job: Job[Any]) -> Any:
        """A call that leaves spend in the ledger, unless it fails."""
        outcome = self.ask(name, connection, job)
        self.accounts.booked += getattr(outcome, "actual_cost", 0)
        return outcome

    def settle(self, connection: Connection, hold: UUID, estimate: Decimal) -> None:
        self.book("settle", connection, settle(hold, estimate * self.dice.randint(0, 100) / 100))

    def settle_above(self, connection: Connection, hold: UUID, estimate: Decimal) -> None:
        self.book("settle", connection, settle(hold, estimate + self.amount(100)))

    def cancel(self, connection: Connection, hold: UUID, _: Decimal) -> None:
        self.ask("cancel", connection, cancel(hold))

    def extend(self, connection: Connection, hold: UUID, estimate: Decimal) -> None:
        more = estimate + self.amount()
        verdict = self.ask("extend", connection, extend(hold, more))
        self.settle(connection, hold, more if getattr(verdict, "can_proceed", False) else estimate)

    def update(self, connection: Connection, hold: UUID, estimate: Decimal) -> None:
        if self.ask("direct update", connection, update(hold, estimate)) == 1:
            self.accounts.booked += estimate

    def delete(self, connection: Connection, hold: UUID, _: Decimal) -> None:
        self.ask("direct delete", connection, delete(hold))

    def lapse(self, connection: Connection, hold: UUID, estimate: Decimal) -> None:
        """The spend is known only after the hold has lapsed, and its row may be gone by then."""
        self.ask("extend", connection, extend_life(hold, "1 microsecond"))
        if self.book("settle", connection, settle(hold, estimate)) == "PB002":
            self.book("record", connection, record(estimate))

    def spend_directly(self, connection: Connection) -> None:
        cost = self.amount(20)
        if self.dice.random() < 0.5:
            self.book("record", connection, record(cost, p_id=uuid4()))
        elif self.ask("direct insert", connection, insert(cost)) == 1:
            self.accounts.booked += cost

    def look(self, connection: Connection) -> None:
        self.ask("check", connection, check(self.amount()))

    def err(self, connection: Connection) -> None:
        """Calls that end with an error, and change nothing."""
        hold = uuid4()
        verdict = self.ask("reserve", connection, reserve("reserve_advisory", 1, p_reservation_id=hold))
        if self.is_granted(verdict, Decimal(1)):
            self.ask("reserve", connection, reserve("reserve", 2, p_reservation_id=hold))
            self.ask("direct insert", connection, insert(1, id=hold))
            self.book("settle", connection, settle(hold, 1))
            self.ask("cancel", connection, cancel(hold))
        self.ask("settle", connection, settle(uuid4(), 1))


def extend_life(hold: UUID, ttl: str) -> Job[Any]:
    return lambda connection: connection.execute("SELECT FROM budget.extend(%s, p_ttl => %s)", (hold, ttl)).rowcount


class Administrator(Client):
    """Changes the limit, freezes for a moment, and sweeps."""

    def turn(self, connection: Connection) -> None:
        work: list[tuple[str, Callable[[], Job[Any]], int]] = [
            ("expire", expire, 80),
            ("set_limits", lambda: set_limits(emergency_kill=self.dice.choice([HIGHEST_LIMIT, LOWER_LIMIT])), 15),
            ("freeze", lambda: freeze("for a moment"), 5),
        ]
        [(name, job, _)] = self.dice.choices(work, [share for *_, share in work])
        self.ask(name, connection, job())
        time.sleep(0.05)
        if name == "freeze":
            self.ask("unfreeze", connection, unfreeze())


class Clearer(Client):
    """Deletes what ended a while ago, as an application may, so that the day does not fill up."""

    CLEAR = """
        DELETE FROM public.cost_tracking WHERE id IN (
            SELECT id FROM public.cost_tracking
             WHERE expires_at IS NULL AND created_at < clock_timestamp() - interval '0.2 seconds')
        RETURNING cost
    """

    def turn(self, connection: Connection) -> None:
        deleted = self.ask("clear", connection, lambda connection: connection.execute(self.CLEAR).fetchall())
        if not isinstance(deleted, str):
            self.accounts.booked -= sum((cost for (cost,) in deleted), Decimal(0))
        time.sleep(0.05)
