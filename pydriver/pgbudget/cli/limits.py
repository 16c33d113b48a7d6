"""`pgbudget limits` and `pgbudget limits set`."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import click

from pgbudget.cli._common import amount, client, dsn_option, json_option, out, print_figures, print_json
from pgbudget.results import Limits


@click.group(invoke_without_command=True)
@dsn_option
@json_option
@click.pass_context
def limits(ctx: click.Context, *, dsn: str, as_json: bool) -> None:
    """Show the limits in force; `limits set` changes them.

    \b
    Examples:
      pgbudget limits
      pgbudget limits set emergency_kill=200
    """
    if ctx.invoked_subcommand is None:
        with client(dsn) as budget:
            _show(budget.limits(), as_json)
    else:
        ctx.obj = dsn  # `limits --dsn URI set …`


def _setting(text: str) -> tuple[str, Any]:
    """Read `key=value`, the value as JSON, else as text. Which keys there are, the database knows."""
    key, equals, value = text.partition("=")
    if not (equals and key.strip()):
        raise click.BadParameter(f"{text!r} is not of the form key=value")
    try:
        return key.strip(), json.loads(value, parse_float=Decimal, parse_constant=str)
    except ValueError:
        return key.strip(), value.strip()


@limits.command(name="set")
@click.argument("settings", metavar="KEY=VALUE...", nargs=-1, required=True, type=_setting)
@dsn_option
@json_option
@click.pass_obj
def set_limits(outer_dsn: str, *, settings: tuple[tuple[str, Any], ...], dsn: str, as_json: bool) -> None:
    """Change the given limits, all or nothing; the others stay. In force at once.

    \b
    daily_soft_cap, daily_hard_cap  amounts at which an escalation is written
    emergency_kill                  the limit, which only exempt services pass
    timezone                        where the day begins, as Europe/Berlin
    reservation_ttl                 how long a hold counts, as '1 hour'
    on_expiry                       release or keep: a lapsed hold's money
    exempt_services                 refused by a freeze alone, as '["architect"]'

    \b
    Examples:
      pgbudget limits set emergency_kill=200 daily_hard_cap=100
      pgbudget limits set timezone=Europe/Berlin reservation_ttl='15 minutes'
    """
    with client(dsn or outer_dsn) as budget:
        for key, _ in settings:
            _require_known(key)
        _show(budget.set_limits(dict(settings)), as_json)


def _require_known(key: str) -> None:
    """The database keeps keys that it does not know, and nothing enforces them: here it is a slip of the finger."""
    known = [field.name for field in fields(Limits)]
    if key not in known:
        close = get_close_matches(key, known, n=1)
        meant = f"did you mean {close[0]}?" if close else f"there is {', '.join(known)}"
        raise click.BadParameter(f"no limit is called {key!r}; {meant}")


def _cap(cap: Decimal | None) -> str | None:
    return None if cap is None else f"{amount(cap)}   escalates, refuses nothing"


def _show(found: Limits, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_figures(
        out(),
        {
            "daily_soft_cap": _cap(found.daily_soft_cap),
            "daily_hard_cap": _cap(found.daily_hard_cap),
            "emergency_kill": f"{amount(found.emergency_kill)}   the limit",
            "timezone": found.timezone,
            "reservation_ttl": f"{found.reservation_ttl}   how long a hold counts",
            "on_expiry": f"{found.on_expiry}   what becomes of a lapsed hold's money",
            "exempt_services": f"{', '.join(found.exempt_services) or 'none'}   refused by a freeze alone",
        },
    )
