"""`pgbudget watch`: the day's spend, live."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import count as counting
from typing import Any

import click
import psycopg
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pgbudget import _wire
from pgbudget._loading import read
from pgbudget.cli._common import (
    age,
    amount,
    clock,
    connected,
    dsn_option,
    json_option,
    out,
    printable,
    rounded,
    span,
    to_json,
)
from pgbudget.cli.budgets import Standing, near_their_limit, share, whom
from pgbudget.cli.holds import OpenHold, open_holds
from pgbudget.cli.state import status_view
from pgbudget.results import Status

# The label is in the budget's zone. TimeZone is UTC meanwhile, so that the name means that zone and no other.
_HOURS = """
SELECT h.hour, to_char(h.hour AT TIME ZONE s.timezone, 'HH24') AS label, h.settled + h.held AS spent
FROM budget.status AS s
CROSS JOIN budget.hourly_spend AS h
ORDER BY h.hour
"""

# The rate is that of the hour that runs and the one before it: of one to two hours. A day that is younger than an hour
# counts as one, or its first call would foretell the worst.
_BURN = """
SELECT
    r.since, p.per_hour,
    CASE
        WHEN s.remaining <= 0 THEN clock_timestamp()
        WHEN s.remaining < p.per_hour * extract(EPOCH FROM s.resets_at - clock_timestamp()) / 3600
            THEN clock_timestamp() + s.remaining / p.per_hour * interval '1 hour'
    END AS met_at
FROM budget.status AS s
CROSS JOIN (
    SELECT min(h.hour) AS since, sum(h.settled + h.held) AS spent
    FROM budget.hourly_spend AS h
    WHERE h.hour > clock_timestamp() - interval '2 hours' AND h.hour <= clock_timestamp()
) AS r
CROSS JOIN LATERAL (
    SELECT r.spent / greatest(extract(EPOCH FROM clock_timestamp() - r.since) / 3600, 1) AS per_hour
) AS p
"""
_ESCALATIONS = """
SELECT e.created_at, e.kind, e.severity, e.status, e.reason
FROM budget.escalations AS e
ORDER BY e.created_at DESC
LIMIT %s
"""
_MOST = 50
_SIDE_BY_SIDE = 140
_SEVERITIES = {"critical": "bold red", "high": "red", "warning": "yellow"}


@dataclass(frozen=True)
class Hour:
    """An hour of the day: when it begins, its name in the budget's zone, and what the calls begun in it count."""

    hour: datetime
    label: str
    spent: Decimal


@dataclass(frozen=True)
class Burn:
    """How fast the money goes: since when, how much an hour, and when the limit is met if that goes on.

    `met_at` is None when the day ends before, or there is no limit.
    """

    since: datetime | None
    per_hour: Decimal | None
    met_at: datetime | None


@dataclass(frozen=True)
class Escalation:
    """One that this budget wrote."""

    created_at: datetime
    kind: str
    severity: str | None
    status: str
    reason: str | None


@dataclass(frozen=True)
class Frame:
    """All that is shown at a moment."""

    status: Status
    burn: Burn
    hours: list[Hour]
    holds: list[OpenHold]
    escalations: list[Escalation]
    budgets: list[Standing]
    """Those near their limit; none without the series `budgets`."""


@click.command()
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=2.0, show_default=True, metavar="SECONDS", help="How often."
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after so many; by default with Ctrl-C.")
@dsn_option
@json_option
def watch(*, every: float, count: int | None, dsn: str, as_json: bool) -> None:
    """Show the day's spend live, with its burn rate.

    And the latest holds and escalations, and which other budgets are near their limit. A column is an hour: what the
    calls begun in it count. The rate is that of the last one to two hours. A lost connection is looked for again. It
    reads views alone. With --json each line is an object.

    \b
    Examples:
      pgbudget watch --every 5
      pgbudget watch --json --count 1 | jq -r .burn.met_at
    """
    console = out()
    on_screen = console.is_terminal and not as_json
    with Live(console=console, screen=True, auto_refresh=False) if on_screen else nullcontext() as live:
        try:
            for number, (frame, trouble) in enumerate(_frames(dsn), 1):
                now = datetime.now(timezone.utc)
                if as_json:
                    click.echo(to_json({**vars(frame), "trouble": trouble}, indent=None))
                elif live:
                    live.update(show_frame(frame, trouble, now, console), refresh=True)
                else:
                    console.print(show_frame(frame, trouble, now, console), "")
                if number == count:
                    return
                time.sleep(every)
        except KeyboardInterrupt:
            return


def _frames(dsn: str) -> Iterator[tuple[Frame, str | None]]:
    """Read without end. Where the connection is lost, the last frame stays, with what is wrong, until it is back."""
    last: Frame | None = None
    for _ in counting():
        try:
            with connected(dsn) as (connection, budget):
                while True:
                    last = _read(connection, budget.status())
                    yield last, None
        except psycopg.OperationalError as error:  # noqa: PERF203 - one that is lost ends the inner loop
            if last is None:
                raise
            yield last, str(error).strip().partition("\n")[0]


def _read(connection: psycopg.Connection[Any], status: Status) -> Frame:
    with _wire.pinned(connection, timezone="UTC"):
        return Frame(
            status,
            read(connection, Burn, _BURN)[0],
            read(connection, Hour, _HOURS),
            open_holds(connection, _MOST, newest_first=True),
            read(connection, Escalation, _ESCALATIONS, [_MOST]),
            near_their_limit(connection, _MOST),
        )


def show_frame(frame: Frame, trouble: str | None, now: datetime, console: Console) -> Group:
    """Return a look for a human, no higher than the console where that is a terminal."""
    top: list[RenderableType] = [status_view(frame.status, now, console.width), "", *_burn_lines(frame, now, console)]
    if trouble:
        top.insert(0, Text(f"these figures are old: {printable(trouble)}\n", style="bold red"))
    if frame.budgets:
        top += ["", _budgets_view(frame, now, console)]
    width, side_by_side = console.width, console.width >= _SIDE_BY_SIDE
    used = len(console.render_lines(Group(*top), pad=False)) + 2
    rows = console.height - used if console.is_terminal else 2 * 10 + 3
    if side_by_side:
        rows, width = max(1, rows - 1), (width - 4) // 2
        table = Table.grid(padding=(0, 4, 0, 0))
        table.add_column(width=width)
        table.add_column(width=width)
        table.add_row(_holds_view(frame, now, rows, width), _escalations_view(frame, now, rows, width))
        return Group(*top, "", table)
    # Whichever needs less leaves its lines to the other.
    most = max(2, rows - 3)
    fewer = min(len(frame.holds) or 1, max(most // 2, most - (len(frame.escalations) or 1)))
    holds = _holds_view(frame, now, fewer, width)
    return Group(*top, "", holds, "", _escalations_view(frame, now, max(1, most - fewer), width))


def _burn_lines(frame: Frame, now: datetime, console: Console) -> Iterator[Text]:
    """Draw a column an hour, in eight heights, and say how fast the money goes."""
    peak = max((hour.spent for hour in frame.hours), default=Decimal(0))
    cell = max(1, min(6, (console.width - 4) // max(1, len(frame.hours))))
    columns, labels = Text("  "), Text("  ", style="dim")
    for number, hour in enumerate(frame.hours):
        height = math.ceil(8 * hour.spent / peak) if peak else 0
        mark = " ▁▂▃▄▅▆▇█"[height] if height else " " if hour.hour > now else "·"
        columns.append(mark * max(1, cell - 1) + " " * (cell > 1), style="cyan" if height else "dim")
        if len(labels) <= 2 + number * cell:
            labels.append(hour.label.ljust(max(3, cell)) if number % 3 == 0 else " " * cell)
    yield columns
    yield labels
    yield _prophecy(frame, now, console.width)


def _prophecy(frame: Frame, now: datetime, width: int) -> Text:
    burn, status = frame.burn, frame.status
    met = burn.met_at is not None and burn.met_at <= now + timedelta(seconds=1)
    if not burn.per_hour or not burn.since:
        calm = Text("  nothing was spent in the last hours", style="dim")
        return calm.append("; the limit is met", style="not dim bold red") if met else calm
    per_hour = rounded(burn.per_hour)
    rate = f"  {amount(per_hour) if per_hour else 'less than 0.01'} an hour since {clock(burn.since, now)}"
    if status.emergency_kill is None:
        fate, style = "there is no limit to be met", ""
    elif not burn.met_at:
        fate, style = "the day ends before the limit is met", "green"
    elif met:
        fate, style = "the limit is met", "bold red"
    else:
        fate, style = f"at this rate the limit is met at {clock(burn.met_at, now)}", "bold yellow"
    return Text.assemble(rate, "; " if len(rate) + len(fate) < width - 2 else "\n  ", (fate, style))


def _list(title: str, lines: list[tuple[Text, Text, Text]], rows: int, width: int, empty: str) -> Group:
    """Lay lines out in columns, the last of which is cut where it is too long, as is the list at so many rows."""
    if not lines:
        return Group(Text(title, style="bold"), Text(f"  {empty}", style="dim"))
    more = f" ({rows} of {len(lines)}{'+' if len(lines) == _MOST else ''})" if len(lines) > rows else ""
    shown = lines[:rows]
    widths = [max(len(line[column]) for line in shown) for column in range(2)]
    laid = []
    for first, second, last in shown:
        first.pad_right(widths[0] - len(first))
        second.pad_left(widths[1] - len(second))
        line = Text("  ").join([Text(), first, second, last])
        line.truncate(width, overflow="ellipsis")
        laid.append(line)
    return Group(Text(title, style="bold").append(more, style="dim"), *laid)


def _budgets_view(frame: Frame, now: datetime, console: Console) -> Group:
    lines = [
        (
            share(one),
            Text(f"{amount(one.remaining)} free"),
            Text(printable(one.name), style="bold")
            .append(f", {whom(one.dimension, one.member)}, ", style="not bold")
            .append("never resets" if one.resets_at is None else f"resets in {span(one.resets_at - now)}", "not bold"),
        )
        for one in frame.budgets
    ]
    # A small screen has other things to show.
    return _list("Budgets near their limit", lines, max(3, console.height // 6), console.width, "none")


def _holds_view(frame: Frame, now: datetime, rows: int, width: int) -> Group:
    lines = [
        (
            Text(age(hold.reserved_at, now), style="dim"),
            Text(amount(hold.estimated_cost)),
            Text(printable(hold.service_name)),
        )
        for hold in frame.holds
    ]
    return _list("Latest holds", lines, rows, width, "no hold is open")


def _escalations_view(frame: Frame, now: datetime, rows: int, width: int) -> Group:
    lines = [
        (
            Text(clock(escalation.created_at, now), style="dim"),
            Text(printable(escalation.severity or "-"), style=_SEVERITIES.get(escalation.severity or "", "")),
            Text(printable(escalation.reason or escalation.kind)),
        )
        for escalation in frame.escalations
    ]
    return _list("Latest escalations", lines, rows, width, "none yet")
