"""The kill switch: `pgbudget freeze` and `pgbudget unfreeze`."""

from __future__ import annotations

from datetime import datetime, timezone

import click
from rich.text import Text

from pgbudget.cli._common import client, clock, dsn_option, json_option, out, print_json, printable
from pgbudget.results import Freeze


@click.command()
@click.argument("reason")
@dsn_option
@json_option
def freeze(*, reason: str, dsn: str, as_json: bool) -> None:
    """Refuse every reservation from now on: the kill switch.

    Whoever is refused reads REASON. Settle, cancel and record go on; while frozen, the first reason stands. Nobody
    is asked to confirm: it is for the moment in which seconds count.

    \b
    Example:
      pgbudget freeze 'the bill runs away, ask ada'
    """
    with client(dsn) as budget:
        _show(budget.freeze(reason), as_json)


@click.command()
@dsn_option
@json_option
def unfreeze(*, dsn: str, as_json: bool) -> None:
    """End a freeze: reservations are decided by the limits again. Without a freeze nothing changes."""
    with client(dsn) as budget:
        _show(budget.unfreeze(), as_json)


def _show(found: Freeze, as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found.frozen:
        since = f" since {clock(found.since, datetime.now(timezone.utc))}" if found.since else ""
        out().print(Text.assemble(("frozen", "bold red"), since, f": {printable(found.reason)}"))
    else:
        out().print(Text.assemble(("not frozen", "bold green"), ": the limits decide"))
