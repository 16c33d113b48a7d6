"""`pgbudget budgets`: many budgets, how they stand, and setting and dropping them. They are the series `budgets`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgbudget._loading import read
from pgbudget.cli._common import (
    a_span,
    amount,
    an_amount,
    clock,
    connected,
    dsn_option,
    json_option,
    out,
    print_json,
    printable,
    span,
)
from pgbudget.errors import DatabaseBehind, InvalidArgument, translated

PERIODS = ("minute", "hour", "day", "week", "month", "total")

_BUDGETS = """
SELECT
    b.name, b.dimension, b.member, b.period, coalesce(b.limit_amount, s.emergency_kill) AS limit_amount, b.timezone,
    b.soft_limits, b.enforcement, b.is_active, b.slots, b.extra, b.extra_until
FROM budget.budgets AS b
LEFT JOIN budget.status AS s ON b.name = 'daily'
ORDER BY b.name <> 'daily', b.name
"""
_COLUMNS = """
    b.name, b.dimension, b.member, b.period, b.limit_amount, b.timezone, b.soft_limits, b.enforcement, b.is_active,
    b.slots, b.extra, b.extra_until
"""
_KEPT = "SELECT" + _COLUMNS + "FROM budget.budgets AS b WHERE b.name = %s"
_DROP = "SELECT" + _COLUMNS + "FROM budget.drop_budget(p_name => %s) AS b"
_SET = (
    "SELECT"
    + _COLUMNS
    + """
FROM budget.set_budget(
    p_name => %(name)s, p_limit => %(limit_amount)s, p_dimension => %(dimension)s, p_member => %(member)s,
    p_period => %(period)s, p_timezone => %(timezone)s, p_soft_limits => %(soft_limits)s::numeric [],
    p_enforcement => %(enforcement)s, p_active => %(is_active)s, p_slots => %(slots)s, p_extra => %(extra)s,
    p_until => coalesce(%(extra_until)s, clock_timestamp() + %(extra_for)s::interval)
) AS b
"""
)
# A budget without a limit that is known has no share; it comes last.
_STANDING = """
SELECT
    s.name, s.dimension, s.member, s.period, s.limit_amount, s.spent, s.held, s.remaining, s.resets_at, s.enforcement,
    s.raised_by, s.raised_until, u.share_used, count(*) OVER () AS matching
FROM budget.budget_status AS s
CROSS JOIN LATERAL (
    SELECT CASE WHEN s.limit_amount > 0 THEN (s.spent + s.held) / s.limit_amount WHEN s.remaining < 0 THEN 1 END
) AS u (share_used)
WHERE
    s.is_active
    AND (%(name)s::text IS NULL OR s.name = %(name)s)
    AND (%(member)s::text IS NULL OR s.member = %(member)s)
    AND (%(share)s::numeric IS NULL OR (u.share_used >= %(share)s AND s.name <> 'daily'))
ORDER BY u.share_used DESC NULLS LAST, s.name, s.member
LIMIT %(limit)s::bigint
"""
_NEAR = Decimal("0.8")
"""The share of its limit from which on a budget is near it."""
_MOST = Decimal("99.99")


@dataclass(frozen=True)
class Definition:
    """A row of `budget.budgets`; of `daily`, the limit is that of the limits, and None where they are broken."""

    name: str
    dimension: str
    member: str | None
    period: str
    limit_amount: Decimal | None
    timezone: str | None
    soft_limits: list[Decimal]
    enforcement: str
    is_active: bool
    slots: int
    extra: Decimal | None
    extra_until: datetime | None


@dataclass(frozen=True)
class Standing:
    """A row of the view `budget.budget_status`, with the number of all that were asked for."""

    name: str
    dimension: str
    member: str | None
    period: str
    limit_amount: Decimal | None
    spent: Decimal
    held: Decimal
    remaining: Decimal | None
    resets_at: datetime | None
    enforcement: str
    raised_by: Decimal | None
    raised_until: datetime | None
    share_used: Decimal | None
    matching: int


_ARE_THERE = """
SELECT to_regclass('budget.budget_status') IS NOT NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_trigger AS t
    WHERE t.tgrelid = to_regclass('public.cost_tracking') AND t.tgname = 'budget_post_insert'
)
"""


def are_there(connection: psycopg.Connection[Any]) -> bool:
    """Whether the series `budgets` is applied to its end: before, the budgets limit nobody."""
    row = connection.execute(_ARE_THERE).fetchone()
    return bool(row and row[0])


def near_their_limit(connection: psycopg.Connection[Any], limit: int) -> list[Standing]:
    """Return the budgets that have used most of it, fullest first, but `daily`; none without the series."""
    return _standing(connection, limit, share=_NEAR) if are_there(connection) else []


def _standing(
    connection: psycopg.Connection[Any],
    limit: int,
    *,
    name: str | None = None,
    member: str | None = None,
    share: Decimal | None = None,
) -> list[Standing]:
    request = {"name": name, "member": member, "share": share, "limit": limit}
    return read(connection, Standing, _STANDING, request)


@contextmanager
def _series(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection to a database that has the series."""
    with connected(dsn) as (connection, _):
        if not are_there(connection):
            raise DatabaseBehind(
                "this database has one budget, daily: the series budgets is not applied, or not to its end",
                hint="pgbudget migrate --series budgets; what it would do: --plan beside it. See docs/budgets.md.",
            )
        yield connection


@click.group(invoke_without_command=True)
@dsn_option
@json_option
@click.pass_context
def budgets(ctx: click.Context, *, dsn: str, as_json: bool) -> None:
    """List the budgets; set and drop them, and show how they stand.

    A budget limits whose requests match it, in every window of its period: everybody's, a service's, or those with a
    key in their metadata. A request needs room in all that it matches. They are a series of migrations of their own:
    pgbudget migrate --series budgets.

    \b
    Examples:
      pgbudget budgets set teams --of team --period month --limit 500
      pgbudget budgets set alpha --of team --member alpha --limit 90 --period day
      pgbudget budgets set teams --extra 100 --until 2d
      pgbudget budgets status teams
    """
    if ctx.invoked_subcommand is None:
        _list(dsn, as_json)
    else:
        ctx.obj = dsn  # `budgets --dsn URI list`


@budgets.command(name="list")
@dsn_option
@json_option
@click.pass_obj
def list_budgets(outer_dsn: str, *, dsn: str, as_json: bool) -> None:
    """List the budgets: whom each limits, to how much, in which period.

    The limit of daily is that of pgbudget limits. How much is used of each: pgbudget budgets status.
    """
    _list(dsn or outer_dsn, as_json)


def _list(dsn: str, as_json: bool) -> None:
    with _series(dsn) as connection:
        found = read(connection, Definition, _BUDGETS)
    if as_json:
        print_json({"budgets": found})
    else:
        _show_list(out(), found)


@budgets.command(name="status")
@click.argument("name", required=False)
@click.option("--member", help="Only this team, user, ...")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Show at most so many."
)
@dsn_option
@json_option
@click.pass_obj
def budget_status(outer_dsn: str, *, name: str | None, member: str | None, limit: int, dsn: str, as_json: bool) -> None:
    """Show how all budgets stand, or those of a NAME.

    In the windows that run now, the fullest first. Inactive ones are left out.

    \b
    Examples:
      pgbudget budgets status
      pgbudget budgets status teams --member alpha
      pgbudget budgets status --json | jq '.budgets[] | .name, .remaining'
    """
    with _series(dsn or outer_dsn) as connection:
        if name is not None and not connection.execute(_KEPT, [name]).fetchall():
            raise _unknown(name)
        found = _standing(connection, limit, name=name, member=member)
    matching = found[0].matching if found else 0
    if as_json:
        shown = [{key: value for key, value in vars(one).items() if key != "matching"} for one in found]
        print_json({"count": matching, "budgets": shown})
        return
    console = out()
    if found:
        _show_status(console, found)
    else:
        console.print("nothing to show: none of these is active, or has such a member in the window that runs")
    if matching > len(found):
        console.print(f"\n{matching - len(found)} more are not shown (--limit)")


def an_end(text: str) -> datetime | timedelta:
    """Read an argument that is an instant, in this machine's zone unless it names an offset, or a length of time."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        pass
    try:
        return a_span(text)
    except click.BadParameter as error:
        raise click.BadParameter(f"{text!r} is neither 90m, 2h or 3d nor an instant as 2026-11-30T18:00") from error


@budgets.command(name="set")
@click.argument("name")
@click.option("--limit", "limit_amount", type=an_amount, metavar="AMOUNT", help="What a window may come to.")
@click.option("--of", "dimension", metavar="WHOM", help="*, service, or a key of the metadata.")
@click.option("--member", help="The one service, team, ... it limits.")
@click.option("--each", is_flag=True, default=None, help="Each of them has the limit for itself.")
@click.option("--period", type=click.Choice(PERIODS), help="How long a window is.")
@click.option("--timezone", metavar="ZONE", help="Of days, weeks, months; '' for the limits' own.")
@click.option("--soft", "soft_limits", type=an_amount, multiple=True, metavar="AMOUNT", help="Escalates; repeatable.")
@click.option("--no-soft", is_flag=True, default=None, help="It escalates at its limit alone.")
@click.option("--block/--warn", "blocks", default=None, help="Refuse what does not fit, or only escalate.")
@click.option("--active/--inactive", "is_active", default=None, help="An inactive one limits and counts nothing.")
@click.option("--slots", type=click.IntRange(1, 64), metavar="N", help="Rows its room is spread over.")
@click.option("--extra", type=an_amount, metavar="AMOUNT", help="Raise the limit by this --until TIME.")
@click.option("--until", type=an_end, metavar="TIME", help="As 90m, 2h, 3d or 2026-11-30T18:00.")
@click.option("--no-extra", is_flag=True, default=None, help="End a raise now.")
@dsn_option
@json_option
@click.pass_obj
def set_budget(outer_dsn: str, /, *, name: str, dsn: str, as_json: bool, **given: Any) -> None:
    """Make a budget, or change what is given of one: the rest stays. In force at once.

    What its window has already is computed from the ledger, whose writers wait that long. Of daily only --slots can
    be set: its limit is that of pgbudget limits. A new one is of everybody, a day and one slot, and blocks.

    \b
    Examples:
      pgbudget budgets set users --of user --period hour --limit 2 --soft 1.5
      pgbudget budgets set users --limit 3
      pgbudget budgets set daily --slots 8
    """
    with _series(dsn or outer_dsn) as connection:
        kept = next(iter(read(connection, Definition, _KEPT, [name])), None)
        _check(name, kept, given)
        wanted = _wanted(name, kept, given)
        try:
            [found] = read(connection, Definition, _SET, wanted)
        except psycopg.Error as error:
            raise translated(error, "set_budget", wanted) from error
    if as_json:
        print_json(found)
    else:
        _show_list(out(), [found])


def _check(name: str, kept: Definition | None, given: dict[str, Any]) -> None:
    """Refuse what cannot be meant, in the words of the options."""
    for one, other in (("member", "each"), ("soft_limits", "no_soft"), ("extra", "no_extra")):
        if given[one] and given[other]:
            raise click.UsageError(f"--{one.partition('_')[0]} and --{other.replace('_', '-')} exclude each other")
    if (given["extra"] is None) != (given["until"] is None):
        raise click.UsageError("a raise has both --extra and --until")
    if isinstance(given["until"], datetime) and given["until"] <= datetime.now(timezone.utc):
        raise click.UsageError(f"--until {given['until'].isoformat(' ', 'minutes')} is past: nothing would be raised")
    if name == "daily":
        if any(value not in (None, ()) for key, value in given.items() if key != "slots"):
            hint = "its limit: pgbudget limits set emergency_kill=AMOUNT"
            raise click.UsageError(f"of daily only --slots can be set; {hint}")
    elif kept is None and given["limit_amount"] is None:
        raise click.UsageError(f"there is no budget named {name} yet, and a new one needs a --limit")


def _wanted(name: str, kept: Definition | None, given: dict[str, Any]) -> dict[str, Any]:
    """Put what is given over what is kept, or over the defaults of a new budget."""
    new = Definition(name, "*", None, "day", None, None, [], "block", True, 1, None, None)
    wanted = {**asdict(kept or new), "extra_for": None}
    wanted |= {key: value for key, value in given.items() if key in wanted and value not in (None, ())}
    if given["dimension"] not in (None, kept and kept.dimension) and given["member"] is None:
        wanted["member"] = None  # that of another dimension
    if given["each"] or wanted["dimension"] == "*":
        wanted["member"] = given["member"]
    if given["no_soft"]:
        wanted["soft_limits"] = []
    wanted["soft_limits"] = list(wanted["soft_limits"])
    if given["blocks"] is not None:
        wanted["enforcement"] = "block" if given["blocks"] else "warn"
    wanted["timezone"] = wanted["timezone"] or None
    if given["no_extra"]:
        wanted |= {"extra": None, "extra_until": None}
    elif given["until"] is not None:
        is_span = isinstance(given["until"], timedelta)
        wanted |= {"extra_until": None, "extra_for": given["until"]} if is_span else {"extra_until": given["until"]}
    return wanted


@budgets.command(name="drop")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nobody is asked.")
@dsn_option
@json_option
@click.pass_obj
def drop_budget(outer_dsn: str, *, name: str, yes: bool, dsn: str, as_json: bool) -> None:
    """Remove a budget and its balances: it limits nobody any more. No ledger row is touched.

    To have it rest for a while: pgbudget budgets set NAME --inactive.
    """
    with _series(dsn or outer_dsn) as connection:
        if not yes and name != "daily" and sys.stdin.isatty() and connection.execute(_KEPT, [name]).fetchall():
            click.confirm(f"Nobody will be limited by {printable(name)} any more. Drop it?", abort=True, err=True)
        try:
            [found] = read(connection, Definition, _DROP, [name])
        except psycopg.Error as error:
            raise translated(error, "drop_budget", {"name": name}) from error
    if as_json:
        print_json(found)
    else:
        out().print(f"{printable(name)} is dropped")


def _unknown(name: str) -> InvalidArgument:
    return InvalidArgument(f"there is no budget named {name}", hint="pgbudget budgets list shows them.")


# For human eyes


def whom(dimension: str, member: str | None) -> str:
    """Whose requests a budget limits, in words."""
    if dimension == "*":
        return "everybody"
    return printable(f"each {dimension}" if member is None else f"{dimension} {member}")


def _show_list(console: Console, found: list[Definition]) -> None:
    now = datetime.now(timezone.utc)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("budget", overflow="fold")
    table.add_column("limits", overflow="fold")
    table.add_column("to", justify="right", overflow="fold")
    table.add_column("a", no_wrap=True)
    table.add_column("", overflow="fold")
    for one in found:
        limit = "" if one.name == "daily" and one.limit_amount is None else amount(one.limit_amount)
        notes = Text(", ".join(_notes(one, now)), style="dim")
        table.add_row(
            Text(printable(one.name), style="bold" if one.is_active else "dim"),
            whom(one.dimension, one.member),
            limit,
            "ever" if one.period == "total" else one.period,
            notes,
        )
    console.print(table)


def _notes(one: Definition, now: datetime) -> Iterator[str]:
    if not one.is_active:
        yield "inactive"
    if one.name == "daily":
        yield "the limit is that of pgbudget limits"
    if one.extra and one.extra_until and one.extra_until > now:
        yield f"raised by {amount(one.extra)} until {clock(one.extra_until, now)}"
    if one.enforcement == "warn":
        yield "only escalates"
    if one.soft_limits:
        yield f"escalates at {' and '.join(map(amount, one.soft_limits))}"
    if one.timezone:
        yield f"in {printable(one.timezone)}"
    if one.slots > 1:
        yield f"{one.slots} slots"


def _show_status(console: Console, found: list[Standing]) -> None:
    now = datetime.now(timezone.utc)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("budget", overflow="fold")
    for figure in ("spent", "held", "free", "of", "used"):
        table.add_column(figure, justify="right", overflow="fold")
    table.add_column("resets in", justify="right", no_wrap=True)
    for one in found:
        name = Text(printable(one.name), style="bold")
        if one.dimension != "*":
            name.append(f" {'-' if one.member is None else printable(one.member)}", style="not bold")
        table.add_row(
            name,
            *(amount(value) for value in (one.spent, one.held, one.remaining, one.limit_amount)),
            share(one),
            "never" if one.resets_at is None else span(one.resets_at - now),
        )
    console.print(table)


def share(one: Standing) -> Text:
    """The share of its limit that a budget has used, coloured as it is near it or over it."""
    if one.share_used is None:
        return Text("-")
    style = "bold red" if one.share_used >= 1 else "yellow" if one.share_used >= _NEAR else ""
    return Text(f"{min(one.share_used, _MOST):.0%}", style=style)
