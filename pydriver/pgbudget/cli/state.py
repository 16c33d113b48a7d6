"""`pgbudget status`, and the picture of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal

import click
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from pgbudget.cli._common import (
    OK,
    REFUSED,
    amount,
    connected,
    dsn_option,
    json_option,
    out,
    print_json,
    printable,
    span,
)
from pgbudget.locks import look
from pgbudget.results import Status

_SETTLED, _HELD, _FREE, _OVER = "green", "yellow", "bright_black", "red"
_INDENT = "  "


@click.command()
@dsn_option
@json_option
@click.pass_context
def status(ctx: click.Context, dsn: str, as_json: bool) -> None:
    """Show the day's spend, holds and headroom against the limit.

    Exits with 1 when every reserve is refused for a reason that needs a human: broken limits, or frozen.

    \b
    Examples:
      pgbudget status
      pgbudget status --json | jq -r .remaining
    """
    with connected(dsn) as (connection, budget):
        if not as_json:
            # First: where somebody has closed the ledger, the rest is waited for.
            locks = look(connection)
            for party in locks.stuck:
                out().print(Text(f"{printable(locks.told(party))}: see pgbudget lock\n", style="bold red"))
        found = budget.status()
    if as_json:
        print_json(found)
    else:
        show_status(out(), found, datetime.now(timezone.utc))
    ctx.exit(REFUSED if found.config_error or found.frozen else OK)


def show_status(console: Console, found: Status, now: datetime) -> None:
    """Print the status for a human, at the console's width."""
    console.print(status_view(found, now, console.width))


def status_view(found: Status, now: datetime, width: int) -> Group:
    """Return the status for a human, to be printed at this width."""
    return Group(*_status_lines(found, now, width))


def _status_lines(found: Status, now: datetime, width: int) -> Iterator[RenderableType]:
    title = Text.assemble((f"{found.day:%A} {found.day}", "bold"), f" ({printable(found.timezone)})")
    yield title.append(f", resets in {span(found.resets_at - now)}")
    yield ""
    if found.config_error:
        yield _alarm("The limits are broken, so every reserve is refused", found.config_error)
    if found.frozen:
        yield _alarm("Frozen: every reserve is refused", found.frozen_reason or "no reason given")
    if found.emergency_kill is not None:
        yield from _bar(found, found.emergency_kill, width)
    yield from _figures(found, now)
    if found.unknown_keys:
        names = ", ".join(map(printable, found.unknown_keys))
        keys = Text("nothing enforces: ", style="yellow").append(names, style="bold")
        why = Text("(keys of budget_limits that are not known; a misspelt one looks the same)", style="dim")
        yield ""
        yield Padding(Group(keys, why), (0, 0, 0, len(_INDENT)))


def _alarm(title: str, text: str) -> Panel:
    return Panel(Text(printable(text, keep="\n")), title=Text(title), title_align="left", border_style="bold red")


def _bar(found: Status, limit: Decimal, width: int) -> Iterator[Text]:
    width = min(width, 100) - 2 * len(_INDENT)
    full = max(limit, found.settled + found.held) or Decimal(1)

    def cells(value: Decimal) -> int:
        return int(width * value / full)

    settled, used = cells(found.settled), cells(found.settled + found.held)
    bar = Text(_INDENT).append("█" * settled, style=_SETTLED).append("▒" * (used - settled), style=_HELD)
    bar.append("░" * (width - used), style=_FREE)
    bar.stylize(_OVER, len(_INDENT) + cells(limit), len(_INDENT) + used)
    yield bar
    caps = (("soft", found.daily_soft_cap), ("hard", found.daily_hard_cap), ("limit", limit))
    marks = [(cells(value), f"{name} {amount(value)}") for name, value in caps if value is not None]
    for line in _scale(marks, width):
        yield Text(_INDENT + line)
    yield Text()


def _scale(marks: list[tuple[int, str]], width: int) -> list[str]:
    """Lay labels out under the bar, each with its mark at its cell; on a further line where two would overlap."""
    lines = [""]
    for cell, label in marks:
        fits_right = cell + len(label) + 2 <= width
        start, text = (cell, f"▲ {label}") if fits_right else (max(cell, len(label) + 2) - len(label) - 2, f"{label} ▲")
        if lines[-1] and start <= len(lines[-1]):
            lines.append("")
        lines[-1] = lines[-1].ljust(start) + text
    return lines


def _figures(found: Status, now: datetime) -> Iterator[Text]:
    age = f", the oldest for {span(now - found.oldest_hold)}" if found.oldest_hold else ""
    holds = f"{found.open_holds} open{age}"
    share = f"{found.share_used:.1%} used" if found.share_used is not None else ""
    over = found.remaining is not None and found.remaining < 0
    rows = [
        ("settled", found.settled, _SETTLED, ""),
        ("held", found.held, _HELD, holds if found.open_holds else ""),
        ("free", found.remaining, _OVER if over else _FREE, share),
    ]
    width = max(len(amount(value)) for _, value, _, _ in rows)
    for name, value, style, note in rows:
        line = Text(_INDENT).append("■ ", style=style).append(f"{name:<8}")
        yield line.append(f"{amount(value):>{width}}", style="bold").append(f"   {note}" if note else "", style="dim")
