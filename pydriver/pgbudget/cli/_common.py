"""What the commands share: options, kinds of arguments, exit codes, connections, and words for human eyes."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from stat import S_IMODE, S_ISREG
from textwrap import wrap
from typing import Any, NoReturn, TypeVar
from uuid import UUID, uuid4

import click
import psycopg
from psycopg.conninfo import make_conninfo
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from pgbudget import _trust, _wire
from pgbudget._conninfo import readable
from pgbudget._loading import JsonText
from pgbudget.budget import Budget
from pgbudget.errors import BudgetError, UndeliveredSettlement

OK, REFUSED, USAGE, FAILED, NO_ROOM = range(5)

F = TypeVar("F", bound=Callable[..., Any])

AS_JSON = "pgbudget.as_json"
"""Under this key click's `meta` says how errors are to be printed."""
_ACCEPT_OWNER = "pgbudget.accept_owner"
"""Under this key, whether the owners of the tables are trusted."""

_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?)")
_NO_MONEY, _EXACT = Decimal("1e36"), Context(prec=200_000)
_AGES = timedelta(days=365_000)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_MIGRATION = re.compile(r"\d{4}\.\w+: |permission denied for (table _?yoyo_|schema public)")
_MIGRATE = (
    "Who migrates owns the application's tables, may create in the database, and may create roles. "
    "pgbudget migrate --plan says what somebody else has to run first."
)
_READ_ONLY = "Connect to the primary if this is a standby; else look at the setting default_transaction_read_only."
_GRANTS = (
    "Connect as another role, or GRANT one of these: budget_reader (status, holds, watch, doctor, budgets), "
    "budget_caller (reserve, settle, cancel, record, check, extend, estimate, limits), budget_admin (freeze, expire, "
    "limits set, budgets set)."
)


# Options and kinds of arguments


def _readable(_: click.Context, __: click.Parameter, dsn: str | None) -> str | None:
    return dsn and readable(dsn)


def dsn_option(command: F) -> F:
    """Add --dsn, which falls back to DATABASE_URL and then, being empty, to libpq's environment; and --accept-owner."""
    return accept_owner_option(
        click.option(
            "--dsn",
            default="",
            envvar="DATABASE_URL",
            metavar="URI",
            callback=_readable,
            help="The database: a libpq URI or keywords. Else DATABASE_URL, else libpq's environment.",
        )(command)
    )


def accept_owner_option(command: F) -> F:
    """Add --accept-owner, which is no parameter of the command: `accepts_owner` says it."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[_ACCEPT_OWNER] = value or accepts_owner()

    return click.option(
        "--accept-owner",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Trust other owners of the tables with the rights of the role that runs this, instead of stopping.",
    )(command)


def accepts_owner() -> bool:
    """Return whether --accept-owner was given."""
    return bool(click.get_current_context().meta.get(_ACCEPT_OWNER))


def server_option(command: F) -> F:
    """Add --dsn for a command that makes a database of its own."""
    return click.option(
        "--dsn",
        metavar="URI",
        callback=_readable,
        help="Use this server, in a database that is made for it and dropped after.",
    )(command)


def json_option(command: F) -> F:
    """Add --json; the command's parameter is `as_json`."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        ctx.meta[AS_JSON] = value
        return value

    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        is_eager=True,  # before an error in what the other options say
        callback=remember,
        help="Print JSON instead; amounts are text.",
    )(command)


def an_amount(text: str) -> Decimal:
    """Read an argument that is money."""
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise click.BadParameter(f"{text!r} is not an amount, such as 2.50") from error


def a_span(text: str) -> timedelta:
    """Read an argument that is a length of time."""
    found = _SPAN.fullmatch(text.strip().lower())
    if not found:
        raise click.BadParameter(f"{text!r} is not a length of time, such as 90s, '15 minutes' or 2h")
    try:
        return timedelta(**{_UNITS[found[2][0]]: float(found[1])})
    except OverflowError as error:
        raise click.BadParameter(f"{text!r} is too long") from error


def json_value(text: str) -> Any:
    """Read an argument that is JSON."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"there is no {constant} in it")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from error


# Connections


@contextmanager
def connected(dsn: str) -> Iterator[tuple[psycopg.Connection[Any], Budget]]:
    """Open a connection for queries over the views, and a client on it that has seen that pgbudget is there.

    Nothing is read or called before it is known whose code that would run.
    """
    with _wire.connect(dsn, "pgbudget") as connection:
        _trust.look(connection, accept_owner=accepts_owner()).require()
        budget = Budget(connection)
        budget.version()
        yield connection, budget


def _asked_first(conninfo: str, **options: Any) -> psycopg.Connection[Any]:
    connection = psycopg.Connection.connect(conninfo, **options)
    try:
        _trust.look(connection, accept_owner=accepts_owner()).require()
    except BaseException:
        connection.close()
        raise
    return connection


class _Client(Budget):
    """A client whose every connection has seen whose code its calls would run."""

    _connect = staticmethod(_asked_first)


def client(dsn: str) -> Budget:
    """Return a client with a connection of its own."""
    return _Client(make_conninfo(dsn, fallback_application_name="pgbudget"))


# Output


class _WritingOut(Console):
    """A console on which nothing that is printed moves the cursor, changes a colour or hides what others wrote.

    Its own colours are no part of a segment's text. Where lines are laid out by hand, `printable` is called before, so
    that they are measured as they are shown.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text, keep="\n"), style, control)


def out(*, stderr: bool = False, markup: bool = False) -> Console:
    """Return the console for results, or for messages: colour only on a terminal, and brackets are brackets."""
    return _WritingOut(stderr=stderr, highlight=False, markup=markup, emoji=False)


def out_option(**attributes: Any) -> Callable[[F], F]:
    """Add --out, a file for a page, or - for stdout; the command's parameter is `page`, for `write_page`."""
    kind = click.Path(dir_okay=False, allow_dash=True)
    return click.option("--out", "page", type=kind, metavar="FILE", **attributes)


def write_page(path: str, text: str) -> None:
    """Write a page to what is named, as `cat > path` does, but a plain file is replaced at once or not at all.

    Raises:
        click.FileError: if it cannot be written.
    """
    if path == "-":
        click.echo(text, nl=False)
        return
    try:
        named, target = Path(path).absolute(), Path(path).resolve()
        found = named.stat() if named.exists() else None
        if not _may_be_replaced(named, found) or not os.access(target.parent, os.W_OK):
            named.write_text(text, "utf-8")
            return
        made = target.with_name(f".{uuid4().hex}")
        try:
            with made.open("x", encoding="utf-8") as file:  # with the mode that the umask leaves
                if found:
                    os.fchown(file.fileno(), -1, found.st_gid)
                    os.fchmod(file.fileno(), S_IMODE(found.st_mode))
                file.write(text)
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)
    except OSError as error:
        raise click.FileError(printable(path), hint=error.strerror) from error


def _may_be_replaced(path: Path, found: os.stat_result | None) -> bool:
    """Whether a new file is as good: not in place of a device, a pipe, a file of somebody else or with other names."""
    if path.is_relative_to("/dev") or path.is_relative_to("/proc"):
        return False  # a link to one of this process's own streams
    if found is None:
        return True
    is_ours = found.st_uid == os.geteuid() and os.access(path, os.W_OK)
    return S_ISREG(found.st_mode) and found.st_nlink == 1 and is_ours


def say(text: str) -> None:
    """Print a line of which others chose a part, however long it is."""
    click.echo(printable(text))


def to_json(value: Any, indent: int | None = 2) -> str:
    """Return a result for machines: money as text so that it stays exact, times in ISO 8601, JSON as it is."""
    texts: list[JsonText] = []

    def plain(item: Any) -> Any:
        if isinstance(item, JsonText):
            texts.append(item)
            return f"\0{len(texts) - 1}"  # PostgreSQL has no text with this character
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
        if isinstance(item, (Decimal, UUID)):
            return f"{item:f}" if isinstance(item, Decimal) else str(item)
        if isinstance(item, (date, datetime)):
            return item.isoformat()
        if isinstance(item, timedelta):
            return f"{item.total_seconds():g} seconds"
        raise TypeError(f"no JSON for a {type(item).__name__}")

    found = json.dumps(value, default=plain, indent=indent).replace("\x7f", r"\u007f")
    return re.sub(r'"\\u0000(\d+)"', lambda match: texts[int(match[1])].ascii, found)


def print_json(value: Any) -> None:
    """Print a result for machines."""
    click.echo(to_json(value))


def print_figures(console: Console, figures: Mapping[str, object]) -> None:
    """Print names and their texts in two columns with a hanging indent; what is None or empty is left out."""
    given = {name: text for name, text in figures.items() if text}
    column = max(map(len, given), default=0) + 4
    for name, text in given.items():
        style = text.style if isinstance(text, Text) else ""
        for number, line in enumerate(wrap(printable(text), max(8, console.width - column), break_on_hyphens=False)):
            console.print(Text.assemble((f"  {'' if number else name}".ljust(column), "dim"), (line, style)))


def complain(error: Exception, *, for_machines: bool = False) -> None:
    """Say on stderr what went wrong, with the detail and hint that the error has."""
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(error, BudgetError):
        message, detail, hint = error.message, error.detail, error.hint
    elif isinstance(error, psycopg.Error) and error.diag.message_primary:
        # The text itself rather than the diagnosis: a migration's name may stand in front of it.
        message, detail, hint = str(error).partition("\n")[0], error.diag.message_detail, error.diag.message_hint
    else:
        message, detail, hint = str(error).expandtabs(4), None, None  # libpq's own indent a second line
    if isinstance(error, UndeliveredSettlement):
        key = error.arguments.get("id")  # record made it: with it nothing is booked twice
        hint = f"Run it again{f' with --id {key}' if key else ''}: it is booked once, however often it arrives."
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        hint = hint or (_MIGRATE if _MIGRATION.match(message) else _GRANTS)
    elif isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        hint = hint or _READ_ONLY
    if for_machines:
        told = {"error": message, "detail": detail, "hint": hint, "sqlstate": sqlstate}
        click.echo(to_json(told), err=True)
        return
    console = out(stderr=True)
    for name, style, text in (
        ("error", "bold red", message or type(error).__name__),
        ("detail", "bold", detail),
        ("hint", "bold", hint),
    ):
        if text:
            # Indented, so that no line of somebody else's text looks like one of ours.
            indented = printable(text, keep="\n").replace("\n", "\n  ")
            console.print(Text.assemble((f"{name}: ", style), indented))


# Words


def printable(text: object, keep: str = "") -> str:
    """Return the text with whatever would move a terminal's cursor or colour written out, as in `\\x1b`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in str(text))


def amount(value: Decimal | None) -> str:
    """Return an amount in full, with at least two decimals; a dash for none. What is no money may be far larger."""
    if value is None:
        return "-"
    if not value.is_finite() or abs(value) >= _NO_MONEY:
        return f"{value:.2e}"
    whole, _, decimals = f"{value:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def rounded(value: Decimal) -> Decimal:
    """Return an amount in cents."""
    return value.quantize(Decimal("0.01"), context=_EXACT) if value.is_finite() else value


def cents(value: Decimal | None) -> str:
    """Return an amount in cents; what is smaller in full, so that it is not shown as nothing."""
    return amount(None if value is None else rounded(value) or value)


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units, as in `2 h 05 min`; one that nobody will see to its end so."""
    if length > _AGES:
        return "ages"
    minutes, seconds = divmod(max(0, int(length.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:  # noqa: PLR2004 - two days
        return f"{hours // 24} d {hours % 24:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def age(since: datetime | None, now: datetime) -> str:
    """Return how long ago something was; a dash where it has no date in any calendar."""
    return "-" if since is None else span(now - since)


def clock(at: datetime, now: datetime) -> str:
    """Return a time in this machine's zone, with its date where that is not today."""
    with suppress(OverflowError):  # at the end of the year 9999
        at = at.astimezone()
    now = now.astimezone()
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"
