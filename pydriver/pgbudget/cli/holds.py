"""`pgbudget holds`: what is held now, by whom, since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
import psycopg
from psycopg.types.json import Jsonb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgbudget._loading import JsonText, read
from pgbudget.cli._common import (
    a_span,
    age,
    amount,
    connected,
    dsn_option,
    json_option,
    json_value,
    out,
    print_json,
    printable,
    span,
)

_HOLDS = """
SELECT
    h.reservation_id, h.service_name, h.estimated_cost, h.reserved_at, h.expires_at, h.metadata,
    count(*) OVER () AS matching, sum(h.estimated_cost) OVER () AS held
FROM budget.open_holds AS h
WHERE
    (%(service)s::text IS NULL OR h.service_name = %(service)s)
    AND (%(metadata)s::jsonb IS NULL OR h.metadata @> %(metadata)s)
    AND (%(older_than)s::interval IS NULL OR h.reserved_at < clock_timestamp() - %(older_than)s::interval)
ORDER BY
    CASE WHEN %(newest_first)s::boolean THEN h.reserved_at END DESC,
    h.reserved_at, h.reservation_id
LIMIT %(limit)s::bigint
"""
_WIDE = 110


@dataclass(frozen=True)
class OpenHold:
    """A row of the view `budget.open_holds`, with the number and the sum of all that were asked for."""

    reservation_id: UUID
    service_name: str
    estimated_cost: Decimal
    reserved_at: datetime | None
    expires_at: datetime
    metadata: JsonText | None
    matching: int
    held: Decimal


def open_holds(
    connection: psycopg.Connection[Any],
    limit: int,
    *,
    service: str | None = None,
    metadata: Any = None,
    older_than: timedelta | None = None,
    newest_first: bool = False,
) -> list[OpenHold]:
    """Return open holds, oldest first unless asked otherwise, at most so many."""
    request = {
        "service": service,
        "metadata": None if metadata is None else Jsonb(metadata),
        "older_than": older_than,
        "newest_first": newest_first,
        "limit": limit,
    }
    return read(connection, OpenHold, _HOLDS, request)


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Show at most so many."
)
@click.option("--service", metavar="NAME", help="Only those of this service.")
@click.option("--metadata", type=json_value, metavar="JSON", help="Only those whose metadata has all of this.")
@click.option("--older-than", type=a_span, metavar="TIME", help="Only those made longer ago, as 90s, 15m or 2h.")
@dsn_option
@json_option
def holds(*, limit: int, dsn: str, as_json: bool, **filters: Any) -> None:
    """List the open holds, of whatever day, oldest first.

    An old one was probably forgotten: settle it with what was spent, cancel it, or let it lapse.

    \b
    Examples:
      pgbudget holds --older-than 30m
      pgbudget holds --metadata '{"user": "ada"}' --json
    """
    with connected(dsn) as (connection, _):
        found = open_holds(connection, limit, **filters)
    matching, held = (found[0].matching, found[0].held) if found else (0, Decimal(0))
    if as_json:
        shown = [
            {name: value for name, value in vars(hold).items() if name not in ("matching", "held")} for hold in found
        ]
        print_json({"count": matching, "held": held, "holds": shown})
        return
    console = out()
    if found:
        _show(console, found)
        console.print()
    rest = f", {matching - len(found)} of them not shown (--limit)" if matching > len(found) else ""
    console.print(f"{matching} open, {amount(held)} held{rest}" if found else "no hold is open")


def _show(console: Console, found: list[OpenHold]) -> None:
    now = datetime.now(timezone.utc)
    wide = console.width >= _WIDE
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("service" if wide else "service, hold", overflow="fold")
    if wide:
        table.add_column("hold", no_wrap=True)
    table.add_column("estimate", justify="right", no_wrap=True)
    table.add_column("open for", justify="right", no_wrap=True)
    table.add_column("lapses in", justify="right", no_wrap=True)
    for hold in found:
        name, key = Text(printable(hold.service_name), style="bold"), Text(str(hold.reservation_id), style="dim")
        figures = [amount(hold.estimated_cost), age(hold.reserved_at, now), span(hold.expires_at - now)]
        table.add_row(*([name, key] if wide else [Text("\n").join([name, key])]), *figures)
    console.print(table)
