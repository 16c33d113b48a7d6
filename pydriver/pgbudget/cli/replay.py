"""`pgbudget replay`: how to choose a limit and an estimate."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pgbudget.cli._common import (
    a_span,
    accept_owner_option,
    accepts_owner,
    amount,
    an_amount,
    cents,
    json_option,
    out,
    out_option,
    print_json,
    printable,
    server_option,
    write_page,
)

if TYPE_CHECKING:
    from pgbudget.replay import Figures, Log, Peak

_RULES = ("logged", "tier", "tokens", "history")
_MOST_DAYS = 14


def _an_amount(_: click.Context, __: click.Parameter, text: str | None) -> Decimal | None:
    return None if text is None else an_amount(text)


def _amounts(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[Decimal]:
    return [an_amount(text) for text in texts]


def _a_span(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    return None if text is None else a_span(text)


def _prices(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, tuple[Decimal, Decimal]]:
    found = {}
    for text in texts:
        name, _equals, both = text.rpartition("=")
        price_in, comma, price_out = both.partition(",")
        if not name or not comma:
            raise click.BadParameter(f"{text!r} is not a price, such as gpt-4o=0.0000025,0.00001")
        found[name] = (an_amount(price_in), an_amount(price_out))
        if not all(price.is_finite() and price >= 0 for price in found[name]):
            raise click.BadParameter(f"{text!r}: a price is 0 or more")
    return found


@click.command()
@click.argument("calls_csv", type=click.File(encoding="utf-8-sig"))
@click.option(
    "--limit", "limits", multiple=True, callback=_amounts, metavar="AMOUNT", help="May be repeated.  [default: 100]"
)
@click.option("--soft", callback=_an_amount, metavar="AMOUNT", help="The day's soft cap.  [default: none]")
@click.option("--hard", callback=_an_amount, metavar="AMOUNT", help="The day's hard cap.  [default: none]")
@click.option("--ttl", callback=_a_span, metavar="SPAN", default="1h", show_default=True, help="Of a hold.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="Where a day begins at midnight.")
@click.option(
    "--on-expiry", type=click.Choice(["release", "keep"]), default="release", show_default=True, help="Of lapsed holds."
)
@click.option("--rule", "rules", multiple=True, type=click.Choice(_RULES), help="May be repeated.  [default: all]")
@click.option(
    "--quantile", type=click.FloatRange(0, 1), default=0.9, show_default=True, metavar="SHARE", help="Of the history."
)
@click.option("--first-estimate", callback=_an_amount, metavar="AMOUNT", help="Where a service has no history yet.")
@click.option(
    "--duration", callback=_a_span, metavar="SPAN", default="10s", show_default=True, help="Of calls that do not say."
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    callback=_prices,
    metavar="NAME=IN,OUT",
    help="Of a proposer's token, in and out.",
)
@click.option(
    "--max-output-tokens", type=click.IntRange(min=0), metavar="N", help="The ceiling of calls that do not say."
)
@out_option(help="Also write a page with charts; - for stdout.")
@server_option
@accept_owner_option
@json_option
def replay(
    *,
    calls_csv: TextIO,
    limits: list[Decimal],
    soft: Decimal | None,
    hard: Decimal | None,
    ttl: timedelta,
    timezone: str,
    on_expiry: str,
    rules: tuple[str, ...],
    quantile: float,
    first_estimate: Decimal | None,
    duration: timedelta,
    prices: dict[str, tuple[Decimal, Decimal]],
    max_output_tokens: int | None,
    page: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Live through a log of past calls under a limit.

    Each call reserves at its time and settles when it ended, through the real functions, in a database that is made
    for it: on a PostgreSQL of its own (extra `embedded`), or with --dsn. It says which calls would have been
    refused, and what over-estimates cost, for each estimate rule that the log has the columns for.

    \b
    Columns: time, service, and
      actual                or proposer, input_tokens and output_tokens
      estimate              for the rule logged
      complexity_score      for tier; with hard_stop_required if there is one
      max_output_tokens     for tokens; with proposer and input_tokens
      duration_s or ended   when the call ended; else --duration

    A call without its actual cost failed, and cost nothing. The rule history takes any of the estimates until a
    service has a history. Times without an offset are UTC. Prices are
    those of the table proposer_configs in --dsn's own database, and of --price.

    \b
    Examples:
      pgbudget replay calls.csv --limit 50 --limit 100
      pgbudget replay calls.csv --ttl 15m --rule logged --out replay.html
      pgbudget replay calls.csv --price gpt-4o=0.0000025,0.00001 --json
    """
    from pgbudget import replay as replaying  # noqa: PLC0415 - only this command needs it

    prices = {**(replaying.prices_in(dsn, accept_owner=accepts_owner()) if dsn else {}), **prices}
    try:
        log = replaying.read_log(calls_csv, replaying.Defaults(duration, max_output_tokens, frozenset(prices)))
    except replaying.LogError as error:
        raise click.BadParameter(printable(error), param_hint=printable(calls_csv.name)) from None
    possible = replaying.possible_rules(log.calls, first_estimate)
    if not possible or not set(rules) <= set(possible):
        lacking = next((rule for rule in rules if rule not in possible), "any rule")
        raise click.UsageError(f"the log lacks what {lacking} needs: see the columns in pgbudget replay --help")
    settings: dict[str, object] = {
        "timezone": timezone,
        "reservation_ttl": f"{ttl.total_seconds():.6g} seconds",
        "on_expiry": on_expiry,
        **({} if soft is None else {"daily_soft_cap": soft}),
        **({} if hard is None else {"daily_hard_cap": hard}),
    }
    plan = replaying.Plan(rules or possible, limits or [Decimal(100)], settings, Decimal(str(quantile)), first_estimate)
    # So that a plain `kill` also drops the database and stops the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with _progress() as advance, replaying.scratch(dsn) as made:
        used = {name: both for name, both in prices.items() if any(call.proposer == name for call in log.calls)}
        figures = replaying.replay(made, log.calls, used, plan, advance)
    if page:
        from pgbudget.report.page import replay_page  # noqa: PLC0415

        write_page(page, replay_page(log, plan, figures))
    if as_json:
        print_json(_as_json(log, settings, figures))
    else:
        _show(out(), log, figures)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("replaying"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
    # Where stdout is a result for machines, the progress must not be in it.
    with Progress(*columns, console=out(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _as_json(log: Log, settings: dict[str, object], figures: Sequence[Figures]) -> dict[str, Any]:
    return {
        "calls": len(log.calls),
        "first": min(call.at for call in log.calls),
        "last": max(call.at for call in log.calls),
        "ignored_columns": log.ignored,
        "settings": settings,
        "replays": [
            {
                **{name: value for name, value in vars(found).items() if name not in ("slices", "refusals")},
                "refused": found.refused,
                "needless": found.needless,
                "reasons": found.reasons,
                "refusals": found.refusals,
            }
            for found in figures
        ],
    }


def _show(console: Console, log: Log, figures: Sequence[Figures]) -> None:
    first, last = min(call.at for call in log.calls), max(call.at for call in log.calls)
    console.print(f"{len(log.calls):,} calls, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC")
    if log.ignored:
        names = ", ".join(map(printable, log.ignored))
        console.print(Text.assemble(("columns that mean nothing here: ", "yellow"), names))
    for limit in dict.fromkeys(found.limit for found in figures):
        own = [found for found in figures if found.limit == limit]
        console.print()
        console.print(Text.assemble((f"Limit {amount(limit)} a day", "bold"), ", by estimate rule"))
        console.print(_comparison(own, first.date() if first.date() == last.date() else None))
        days = _refusals_by_day(own)
        if days:
            console.print(days)


def _comparison(figures: Sequence[Figures], only_day: date | None) -> Table:
    """Return a table with a column for each rule; times have no date where there is only one."""
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    table.add_column("", no_wrap=True)
    for found in figures:
        table.add_column(found.rule, justify="right", no_wrap=True)

    def when(at: datetime | None) -> str:
        return "-" if at is None else f"{at:%H:%M}" if at.date() == only_day else f"{at:%m-%d %H:%M}"

    def row(name: str, cell: Callable[[Figures], str], style: str = "") -> None:
        table.add_row(name, *map(cell, figures), style=style)

    def peak(found: Figures, which: str) -> Peak:
        found_peak: Peak = getattr(found, which)
        return found_peak

    row("granted", lambda found: f"{found.granted:,}")
    row("refused", lambda found: f"{found.refused:,}", "bold")
    row("  first", lambda found: when(found.refusals[0].at if found.refusals else None))
    row("  for over-estimates", lambda found: f"{found.needless:,}")
    row("  what they had cost", lambda found: cents(found.refused_spend))
    table.add_section()
    row("spent", lambda found: cents(found.spent))
    for name, which in (("most in a day", "peak_total"), ("most held", "peak_held")):
        row(name, partial(lambda which, found: cents(peak(found, which).amount), which))
        row("  at", partial(lambda which, found: when(peak(found, which).at), which))
    table.add_section()
    row("over-estimated calls", lambda found: f"{found.over:,}")
    row("  by, in all", lambda found: cents(found.over_amount))
    row("  most headroom lost", lambda found: cents(found.peak_lost.amount))
    row("under-estimated calls", lambda found: f"{found.under:,}")
    row("  by, in all", lambda found: cents(found.under_amount))
    row("outlived their hold", lambda found: f"{found.late:,}")
    return table


def _refusals_by_day(figures: Sequence[Figures]) -> Table | None:
    counts = [Counter(refusal.day for refusal in found.refusals) for found in figures]
    days = sorted(set().union(*counts))
    if not days:
        return None
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    table.add_column("refused on", no_wrap=True, min_width=len("  for over-estimates"))
    for found in figures:
        table.add_column(found.rule, justify="right")
    for day in days[:_MOST_DAYS]:
        table.add_row(f"{day}", *(f"{count[day]:,}" for count in counts))
    if len(days) > _MOST_DAYS:
        rest = [sum(count[day] for day in days[_MOST_DAYS:]) for count in counts]
        table.add_row(f"{len(days) - _MOST_DAYS} days more", *(f"{n:,}" for n in rest))
    return table
