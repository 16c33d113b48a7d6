"""The race, its end, and a crowd: `pgbudget demo`. Real connections, real commits, figures read back from the database.

It makes a database of its own, on a private server or on one that is given, and drops it whatever happens.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from pgbudget.budget import Budget
from pgbudget.embedded import Server
from pgbudget.migrations import migrate
from pgbudget.scratch import scratch_database

if TYPE_CHECKING:
    from typing_extensions import LiteralString

T = TypeVar("T")
Connection = psycopg.Connection[Any]

CLIENTS = 64
ROUNDS = 25
VARIANTS = ("reserve", "reserve_advisory")

_NEARLY_FULL = Decimal(95)
_COST = Decimal(10)
_ESTIMATES = tuple(map(Decimal, ("0.04", "0.10", "0.37", "1.00", "2.50")))
_CANCELLED_SHARE = 0.25
_BARRIER_SECONDS = 60.0


def run(console: Console, dsn: str | None = None) -> bool:
    """Show all three parts and return whether each went as it must: no total ever passed the limit.

    Args:
        console: where to.
        dsn: a server to use, as a role that may create databases and roles; None for a private one.

    Raises:
        psycopg.Error: if the database does; its own database is dropped all the same.
        EmbeddedError: if the private server cannot be started.
    """
    with _database(console, dsn) as demo:
        parts = [part(console, demo) for part in (_race_as_it_was, _race_with_reservations, _crowd)]
    good = all(parts)
    console.print()
    console.print("[bold green]Nothing passed the limit.[/]" if good else "[bold red]Not as it must be: see above.[/]")
    return good


@contextmanager
def _database(console: Console, dsn: str | None) -> Iterator[str]:
    with ExitStack() as cleanup:
        started = time.monotonic()
        if dsn is None:
            with console.status("Starting a private PostgreSQL …"):
                dsn = cleanup.enter_context(Server()).dsn()
        demo = cleanup.enter_context(scratch_database(dsn, "demo"))
        with psycopg.connect(demo) as connection:
            version, name = (
                (connection.info.parameter_status("server_version") or "").split()[0],
                connection.info.dbname,
            )
        with console.status("Migrating …") as status:
            applied = migrate(demo, on_step=lambda step: status.update(f"Migrating … {step}"))
        seconds = time.monotonic() - started
        console.print(f"PostgreSQL {version}, database {name}: {len(applied)} migrations, {seconds:.1f} s")
        yield demo


def _together(jobs: Sequence[Callable[[threading.Barrier], T]]) -> list[T]:
    """Run each job in a thread of its own, with one barrier for all; the first error ends them all."""
    barrier = threading.Barrier(len(jobs), timeout=_BARRIER_SECONDS)
    with ThreadPoolExecutor(len(jobs)) as threads:
        futures = [threads.submit(job, barrier) for job in jobs]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            barrier.abort()
            raise
        return [future.result() for future in futures]


def _begin_day(dsn: str, spent: Decimal) -> Decimal:
    """Empty the ledger, book `spent` as the day's spend so far, and return the limit."""
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM public.cost_tracking")
        connection.execute("INSERT INTO public.cost_tracking (cost, service_name) VALUES (%s, 'earlier')", [spent])
        return _amount(connection, "SELECT emergency_kill FROM budget.status")


def _total(dsn: str) -> Decimal:
    with psycopg.connect(dsn) as connection:
        return _amount(connection, "SELECT coalesce(sum(cost), 0) FROM public.cost_tracking")


def _amount(connection: Connection, query: LiteralString) -> Decimal:
    [(amount,)] = connection.execute(query)
    return Decimal(amount)


def _dollars(amount: Decimal) -> str:
    return f"${amount.normalize():f}"


def _heading(console: Console, number: int, title: str, how: str) -> None:
    console.print()
    console.print(f"[bold]{number}  {title}[/]")
    console.print(f"   [dim]{how}[/]")


def _result(console: Console, good: bool, text: str) -> bool:
    console.print(f"   [green]✓[/] {text}" if good else f"   [red]✗[/] {text}")
    return good


def _table(*headers: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for n, header in enumerate(headers):
        table.add_column(header, justify="right" if n else "left", no_wrap=True)
    return table


# 1: what the application did


def _race_as_it_was(console: Console, dsn: str) -> bool:
    _heading(console, 1, "The race as it was", "Read the day's spend, compare it with the limit, then spend.")
    limit = _begin_day(dsn, _NEARLY_FULL)

    def client(barrier: threading.Barrier) -> tuple[Decimal, bool]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            spend = _amount(
                connection,
                "SELECT coalesce(sum(cost), 0) FROM public.cost_tracking WHERE date(created_at) = current_date",
            )
            barrier.wait()
            if spend < limit:
                connection.execute("INSERT INTO public.cost_tracking (cost, service_name) VALUES (%s, 'race')", [_COST])
            return spend, spend < limit

    answers = _together([client, client])
    table = _table("client", "read", f"under {_dollars(limit)}?", "spent")
    for name, (spend, under) in zip("AB", answers, strict=True):
        table.add_row(name, _dollars(spend), "yes" if under else "no", f"${_COST if under else 0}")
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    total = _total(dsn)
    shown = total == _NEARLY_FULL + 2 * _COST > limit and all(
        spend == _NEARLY_FULL and under for spend, under in answers
    )
    return _result(
        console, shown, f"the day ends at [bold red]{_dollars(total)}[/] of {_dollars(limit)}: that is the race"
    )


# 2: the same two, reserving first


def _race_with_reservations(console: Console, dsn: str) -> bool:
    _heading(console, 2, "The same two, reserving first", "SELECT * FROM check_and_reserve_budget(10, 'demo')")

    def client(barrier: threading.Barrier) -> tuple[bool, Decimal]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            barrier.wait()
            [(granted, total)] = connection.execute(
                """SELECT can_proceed, current_total
                   FROM public.check_and_reserve_budget(p_estimated_cost => %s, p_service_name => 'demo')""",
                [_COST],
            )
            return granted, total

    table = _table("day at", "client", "can_proceed", "current_total", "day ends at")
    good = True
    for spent, grants in ((_NEARLY_FULL, 0), (_NEARLY_FULL - 5, 1)):
        limit = _begin_day(dsn, spent)
        answers = sorted(_together([client, client]), reverse=True)
        total = _total(dsn)
        for name, (granted, seen) in zip("AB", answers, strict=True):
            first = name == "A"
            table.add_row(
                _dollars(spent) if first else "",
                name,
                "[green]yes[/]" if granted else "[yellow]no[/]",
                _dollars(seen),
                _dollars(total) if first else "",
            )
        good &= sum(granted for granted, _ in answers) == grants and total == spent + grants * _COST <= limit
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    return _result(console, good, "both refused at $95, exactly one of two granted at $90")


# 3: a crowd at the limit


@dataclass
class _Tally:
    """What one client was told."""

    variant: str
    granted: int = 0
    refused: int = 0
    highest: Decimal = Decimal(0)
    """The highest total that a grant to it led to, as the database told it."""
    calls: int = 0
    began: float = 0.0
    ended: float = 0.0


def _crowd(console: Console, dsn: str) -> bool:
    _heading(
        console,
        3,
        f"{CLIENTS} connections, one limit",
        "Half through each lock; reserve, then settle or cancel, from one barrier.",
    )
    limit = _begin_day(dsn, Decimal(0))
    with _onlooker(dsn) as seen, _progress(console) as advance:
        jobs = [partial(_client, dsn, number, advance) for number in range(CLIENTS)]
        tallies = _together(jobs)
    return _report(console, dsn, limit, max(seen, default=Decimal(0)), tallies)


def _client(dsn: str, number: int, advance: Callable[[], None], barrier: threading.Barrier) -> _Tally:
    tally = _Tally(VARIANTS[number % 2])
    dice = random.Random(number)  # noqa: S311 - the same crowd in every run
    with psycopg.connect(dsn, autocommit=True) as connection:
        budget = Budget(connection)
        budget.version()  # the first call also checks the version: not a part of the race
        reserve = getattr(budget, tally.variant)
        barrier.wait()
        tally.began = time.monotonic()
        for _ in range(ROUNDS):
            if barrier.broken:  # another client failed, or Ctrl-C
                break
            estimate = dice.choice(_ESTIMATES)
            verdict = reserve(estimate, tally.variant)
            tally.calls += 1
            if verdict:
                tally.granted += 1
                tally.calls += 1
                tally.highest = max(tally.highest, verdict.current_total + estimate)
                if dice.random() < _CANCELLED_SHARE:
                    budget.cancel(verdict.reservation_id, "the call failed")
                else:
                    budget.settle(verdict.reservation_id, estimate * dice.randint(50, 100) / 100)
            else:
                tally.refused += 1
            advance()
        tally.ended = time.monotonic()
    return tally


@contextmanager
def _onlooker(dsn: str) -> Iterator[list[Decimal]]:
    """Collect the ledger's committed total, read over and over by a connection that takes no part."""
    totals: list[Decimal] = []
    done = threading.Event()

    def watch() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not done.is_set():
                totals.append(_amount(connection, "SELECT coalesce(sum(cost), 0) FROM public.cost_tracking"))

    with ThreadPoolExecutor(1) as thread:
        watching = thread.submit(watch)
        try:
            yield totals
        finally:
            done.set()
        watching.result()


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("   rounds"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=CLIENTS * ROUNDS)
        yield partial(progress.advance, task)


def _report(console: Console, dsn: str, limit: Decimal, seen: Decimal, tallies: Sequence[_Tally]) -> bool:
    with psycopg.connect(dsn) as connection:
        booked = {
            service: counts
            for service, *counts in connection.execute(
                """SELECT service_name, count(*), count(*) FILTER (WHERE metadata ->> 'type' = 'actual'),
                       count(*) FILTER (WHERE metadata ->> 'type' = 'cancelled'), sum(cost)
                   FROM public.cost_tracking WHERE service_name <> 'earlier' GROUP BY service_name"""
            )
        }
    total = _total(dsn)
    highest = max(seen, *(tally.highest for tally in tallies))
    overshoot = max(total, highest, limit) - limit
    seconds = max(tally.ended for tally in tallies) - min(tally.began for tally in tallies)

    refused = [sum(tally.refused for tally in tallies if tally.variant == variant) for variant in VARIANTS]
    told = [sum(tally.granted for tally in tallies if tally.variant == variant) for variant in VARIANTS]
    rows = [booked.get(variant, [0, 0, 0, Decimal(0)]) for variant in VARIANTS]
    granted, settled, cancelled, spent = zip(*rows, strict=True)

    table = _table("", *VARIANTS, "both")
    for label, figures in (
        ("granted", granted),
        ("refused", refused),
        ("settled", settled),
        ("cancelled", cancelled),
        ("spent", spent),
    ):
        table.add_row(label, *map(str, figures), str(sum(figures)))
    table.add_section()
    table.add_row("final total", "", "", _dollars(total))
    table.add_row("highest total ever", "", "", _dollars(highest))
    table.add_row("limit", "", "", _dollars(limit))
    style = "red" if overshoot else "green"
    table.add_row("[bold]overshoot[/]", "", "", f"[bold {style}]{_dollars(overshoot)}[/]")
    table.add_row("calls per second", "", "", f"{sum(tally.calls for tally in tallies) / seconds:,.0f}")
    console.print(Padding(table, (0, 0, 0, 2), expand=False))

    agree = list(granted) == told and sum(spent) == total and sum(granted) == sum(settled) + sum(cancelled)
    good = not overshoot and agree and sum(refused) > 0
    return _result(console, good, "no overshoot at any moment; ledger and clients agree")
