"""What the commands share: options, exit codes, consoles, amounts and times for human eyes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import click
import psycopg
from rich.console import Console
from rich.text import Text

from pgbudget.errors import BudgetError

OK, REFUSED, USAGE, FAILED = range(4)

F = TypeVar("F", bound=Callable[..., Any])


def dsn_option(command: F) -> F:
    """Add --dsn, which falls back to DATABASE_URL and then, being empty, to libpq's environment."""
    return click.option(
        "--dsn",
        default="",
        envvar="DATABASE_URL",
        metavar="URI",
        help="The database: a libpq URI or keywords. Else DATABASE_URL, else libpq's environment.",
    )(command)


def json_option(command: F) -> F:
    """Add --json; the command's parameter is `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead; amounts are text.")(
        command
    )


def out() -> Console:
    """Return the console for results: colour only on a terminal, no guessing at what looks like a number."""
    return Console(highlight=False)


def print_json(value: Any) -> None:
    """Print a result for machines: money as text so that it stays exact, times in ISO 8601."""

    def plain(item: Any) -> Any:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return dataclasses.asdict(item)
        if isinstance(item, (Decimal, UUID)):
            return f"{item:f}" if isinstance(item, Decimal) else str(item)
        if isinstance(item, (date, datetime)):
            return item.isoformat()
        raise TypeError(f"no JSON for a {type(item).__name__}")

    click.echo(json.dumps(value, default=plain, indent=2))


def complain(error: Exception) -> None:
    """Say on stderr what went wrong, with the detail and hint that the error has."""
    if isinstance(error, BudgetError):
        message, detail, hint = error.message, error.detail, error.hint
    elif isinstance(error, psycopg.Error) and error.diag.message_primary:
        # The text itself rather than the diagnosis: a migration's name may stand in front of it.
        message, detail, hint = str(error).partition("\n")[0], error.diag.message_detail, error.diag.message_hint
    else:
        message, detail, hint = str(error), None, None
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("error: ", "bold red"), message))
    for name, text in (("detail", detail), ("hint", hint)):
        if text:
            console.print(Text.assemble((f"{name}: ", "bold"), text))


def amount(value: Decimal | None) -> str:
    """Return an amount in full, with at least two decimals; a dash for none."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if value == round(value, 2) else f"{value.normalize():,f}"


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units, as in `2 h 05 min`."""
    minutes, seconds = divmod(max(0, int(length.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
