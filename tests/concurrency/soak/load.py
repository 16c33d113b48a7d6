"""The mixed load: many clients for a while, and what must be true of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any

import psycopg

from tests.clock import midday_zone
from tests.concurrency.calls import expire, set_limits
from tests.concurrency.soak.clients import (
    DOCUMENTED,
    HIGHEST_LIMIT,
    LAPSES_AFTER,
    Accounts,
    Administrator,
    Clearer,
    Spender,
)
from tests.concurrency.soak.watching import Watch
from tests.race import SECONDS, Connection, Crowd
from tests.rows import value

MOST_GROWTH_KIB = 20 * 1024


@dataclass(frozen=True)
class Report:
    """The figures of a run. Amounts are in the currency of the limits, as text."""

    clients: int
    seconds: float
    calls: dict[str, int]
    errors: dict[str, int]
    undocumented_errors: int
    overshoot: int
    highest: str
    limit: str
    looks: int
    booked: str
    in_ledger: str
    held: str
    leaked: str
    broken_invariants: int
    growth_kib: int
    private_kib: int
    """Of the largest backend."""
    details: list[str]

    def faults(self) -> Iterator[str]:
        """What must not be."""
        if self.overshoot:
            yield f"overshoot: {self.highest} of {self.limit} in some committed state; {self.details[:5]}"
        if float(self.leaked):
            yield f"leaked: {self.leaked}; booked {self.booked}, in the ledger {self.in_ledger}, held {self.held}"
        if self.undocumented_errors:
            yield f"errors of other kinds than documented: {self.errors}"
        if self.broken_invariants:
            yield f"broken invariants: {self.broken_invariants}"
        if self.growth_kib > MOST_GROWTH_KIB:
            yield f"a backend grew by {self.growth_kib} KiB"

    def lines(self) -> Iterator[str]:
        """For a reader."""
        reasons = ("granted", "in_flight", "exhausted", "frozen")
        made = {name: count for name, count in self.calls.items() if name not in reasons}
        total = sum(made.values())
        yield f"{self.clients} clients for {self.seconds:.0f} s: {total:,} calls, {total / self.seconds:,.0f} a second"
        yield "calls      " + ", ".join(f"{name} {count:,}" for name, count in sorted(made.items()))
        yield "verdicts   " + ", ".join(f"{name} {self.calls[name]:,}" for name in reasons if name in self.calls)
        told = (
            f"{state} {count:,} ({DOCUMENTED.get(state, 'not documented')})" for state, count in self.errors.items()
        )
        yield f"errors     {', '.join(told) or 'none'}"
        yield f"overshoot  {self.overshoot}: {self.highest} of {self.limit} at most, in {self.looks:,} looks"
        yield f"leaked     {self.leaked}: booked {self.booked}, in the ledger {self.in_ledger}, still held {self.held}"
        yield f"invariants {self.broken_invariants} broken"
        yield f"memory     a backend grew by {self.growth_kib:,} KiB at most, to {self.private_kib:,} KiB at most"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(dsn: str, clients: int, seconds: float) -> Report:
    """Put the load on a migrated database of its own; `clients` counts the administrator and the clearer."""
    with ExitStack() as opened:

        def connect() -> Connection:
            return opened.enter_context(psycopg.connect(dsn, autocommit=True))

        db = connect()
        prepare(db)
        crowd = opened.enter_context(Crowd([connect() for _ in range(clients)], seconds + 2 * SECONDS))
        pids = [connection.info.backend_pid for connection in crowd.connections]
        over_at = time.monotonic() + seconds
        jobs = [Administrator(0).run(over_at), Clearer(0).run(over_at)]
        jobs += [Spender(number).run(over_at) for number in range(clients - len(jobs))]
        with Watch(connect(), pids, warm_up=min(30.0, seconds / 4)) as watch:
            accounts = reduce(add, crowd.race(jobs), Accounts())
        return report(db, clients, seconds, accounts, watch)


def prepare(db: Connection) -> None:
    """Limits that the load comes up against, in a zone where it is midday: the day must not end meanwhile."""
    set_limits(daily_soft_cap=20, daily_hard_cap=50, emergency_kill=HIGHEST_LIMIT, timezone=midday_zone())(db)


def report(db: Connection, clients: int, seconds: float, accounts: Accounts, watch: Watch) -> Report:
    time.sleep(2 * LAPSES_AFTER.total_seconds())  # nobody ends what was abandoned
    while expire()(db).expired:
        pass
    in_ledger = value(db, "SELECT coalesce(sum(cost), 0) FROM public.cost_tracking")
    held = value(db, "SELECT held FROM budget.status")
    above = watch.highest > HIGHEST_LIMIT
    return Report(
        clients=clients,
        seconds=seconds,
        calls=dict(sorted(accounts.calls.items())),
        errors=dict(sorted(accounts.errors.items())),
        undocumented_errors=sum(count for state, count in accounts.errors.items() if state not in DOCUMENTED),
        overshoot=len(accounts.overshoots) + above,
        highest=str(watch.highest),
        limit=str(HIGHEST_LIMIT),
        looks=watch.looks,
        booked=str(accounts.booked),
        in_ledger=str(in_ledger),
        held=str(held),
        leaked=str(abs(in_ledger - accounts.booked) + held),
        broken_invariants=value(db, "SELECT count(*) FROM budget.invariants"),
        growth_kib=watch.growth_kib,
        private_kib=max(watch.most.values()),
        details=accounts.overshoots,
    )
