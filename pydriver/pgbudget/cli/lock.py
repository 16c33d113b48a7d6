"""`pgbudget lock`: who holds up decisions, and how to end it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from textwrap import wrap
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.text import Text

from pgbudget.cli._common import OK, REFUSED, connected, dsn_option, json_option, out, print_json, printable, span
from pgbudget.locks import Found, Party, look

_MOST = 10


@click.command()
@dsn_option
@json_option
@click.pass_context
def lock(ctx: click.Context, *, dsn: str, as_json: bool) -> None:
    """Show who holds the decision lock, who waits behind it, and how to end it.

    A decision holds it to the end of its transaction: the table lock of reserve, or the key of the others. So does
    whoever locks the ledger, and whoever has a row that a call waits for. Changes nothing and waits for nobody. Of
    other roles' sessions only a member of pg_read_all_stats sees the state, age and query, and only one of
    pg_signal_backend may end them.

    Exits with 1 when a transaction is in the way that has done nothing for 5 s, or behind which somebody has waited
    for 5 s: callers fail with 55P03 then.

    \b
    Examples:
      pgbudget lock
      pgbudget lock --json | jq -r '.holders[].end'
    """
    with connected(dsn) as (connection, _):
        found = look(connection)
        if as_json:
            print_json(_as_json(found, connection))
        else:
            _show(out(), found, connection)
    ctx.exit(REFUSED if found.stuck else OK)


def _as_json(found: Found, connection: psycopg.Connection[Any]) -> dict[str, Any]:
    stuck = found.stuck
    return {
        "holders": [
            {
                **vars(party),
                "stuck": party in stuck,
                "waiting": [one.pid for one in found.behind(party)],
                "end": party.end(connection),
            }
            for party in found.holders
        ],
        "waiting": found.waiting,
    }


def _show(console: Console, found: Found, connection: psycopg.Connection[Any]) -> None:
    stuck = found.stuck
    for party in found.holders:
        mark, style = ("x", "bold red") if party in stuck else ("+", "green")
        console.print(Text.assemble((mark, style), " ", (printable(party.name), "bold")))
        behind = found.behind(party)
        _line(console, ", ".join(filter(None, [_state(party), *_since(party)])))
        _line(console, ", ".join([name for name in party.locks if "AccessShare" not in name] or party.locks))
        _line(console, " ".join(party.query.split()), "dim")
        if behind:
            longest = max(one.waits or timedelta(0) for one in behind)
            _line(console, f"behind it: {len(behind)}, the longest for {span(longest)}")
        _line(console, f"to end it: {party.end(connection)}", "cyan")
        console.print()
    if found.waiting:
        console.print(Text("Waiting", style="bold"))
        for party in found.waiting[:_MOST]:
            whom = ", ".join("a prepared transaction" if pid == 0 else str(pid) for pid in dict.fromkeys(party.behind))
            _line(console, f"{party.name}: for {span(party.waits or timedelta(0))}, behind {whom or 'nobody any more'}")
        if len(found.waiting) > _MOST:
            _line(console, f"and {len(found.waiting) - _MOST} more")
    else:
        console.print("nobody waits for it" if found.holders else "nobody holds the decision lock, or waits for it")
    if any(party.hidden for party in (*found.holders, *found.waiting)):
        console.print()
        note = "This role may not see the state, age and query of other roles' sessions: GRANT pg_read_all_stats TO it."
        console.print(Text(note, style="yellow"))


def _state(party: Party) -> str:
    return "state hidden" if party.hidden else party.state or ""


def _since(party: Party) -> Iterator[str]:
    if party.idle is not None:
        yield f"nothing for {span(party.idle)}"
    if party.since is not None and party.gid is None:
        yield f"since {party.since.astimezone():%Y-%m-%d %H:%M:%S}"
    if party.waits is not None:
        yield f"waits itself for {span(party.waits)}"


def _line(console: Console, text: str, style: str = "") -> None:
    for line in wrap(printable(text), max(8, console.width - 2), break_on_hyphens=False, subsequent_indent="  "):
        console.print(Text.assemble("  ", (line, style)))
