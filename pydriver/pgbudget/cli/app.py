"""The group `pgbudget`: the list of its commands, and what they do with errors."""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import Any

import click
import psycopg

from pgbudget.cli._common import AS_JSON, FAILED, REFUSED, USAGE, complain, printable
from pgbudget.cli.budgets import budgets
from pgbudget.cli.demo import demo
from pgbudget.cli.doctor import doctor
from pgbudget.cli.estimate import estimate
from pgbudget.cli.holds import holds
from pgbudget.cli.limits import limits
from pgbudget.cli.lock import lock
from pgbudget.cli.replay import replay
from pgbudget.cli.report import report
from pgbudget.cli.route import route
from pgbudget.cli.schema import migrate, rollback, sql
from pgbudget.cli.spend import cancel, check, expire, extend, record, reserve, settle
from pgbudget.cli.state import status
from pgbudget.cli.switch import freeze, unfreeze
from pgbudget.cli.watch import watch
from pgbudget.embedded import EmbeddedError
from pgbudget.errors import BudgetError, DatabaseBehind, LockTimeout, UndeliveredSettlement

SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Set up": (demo, migrate, rollback, sql, doctor),
    "Look": (status, watch, holds, lock, report, replay),
    "Control": (limits, budgets, freeze, unfreeze, expire),
    "Spend by hand": (reserve, settle, cancel, extend, record, check, estimate, route),
}


class _Commands(click.Group):
    """Lists the commands by what they are for, and turns every expected error into a message and an exit code."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        rest = self.commands.keys() - {command.name for commands in SECTIONS.values() for command in commands}
        sections = {**SECTIONS, "Others": tuple(self.commands[name] for name in sorted(rest))}
        width = max(map(len, self.commands))
        for title, commands in sections.items():
            rows = [(f"{c.name:<{width}}", c.get_short_help_str(formatter.width - width - 6)) for c in commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BudgetError, psycopg.Error, EmbeddedError) as error:
            if os.environ.get("PGBUDGET_DEBUG"):
                click.echo(printable("".join(traceback.format_exception(error)), keep="\n"), err=True)
            complain(error, for_machines=ctx.meta.get(AS_JSON, False))
            ctx.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    if isinstance(error, BudgetError):
        # Nothing is wrong with the call: the same one may be answered later.
        return FAILED if isinstance(error, (DatabaseBehind, LockTimeout, UndeliveredSettlement)) else REFUSED
    # libpq could not even read the connection string.
    unreadable = isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None
    return USAGE if unreadable else FAILED


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pgbudget")
def app() -> None:
    """A spend limit that PostgreSQL itself enforces.

    Callers reserve the estimated cost before they spend, then settle it with the actual cost or cancel it. All of
    that is SQL in the database; this command installs it there, shows what it does, and calls it by hand.

    \b
    First steps:
      pgbudget demo                        the race and its end (extra embedded)
      pgbudget migrate --dsn postgresql://user@host/db
      export DATABASE_URL=postgresql://user@host/db
      pgbudget doctor                      is everything as it should be?
      pgbudget watch                       the day's spend, live

    \b
    Which database: --dsn, else DATABASE_URL, else libpq's own environment
    (PGHOST, PGDATABASE, PGSERVICE, ...). A libpq URI or "host=... dbname=...".

    \b
    Exit codes:
      0  done, and all is well
      1  no: the function said no, or something needs a human
      2  wrong usage
      3  the database cannot be reached, or it raised an error
      4  no room: reserve, check and extend were refused, and the verdict says why

    \b
    PGBUDGET_DEBUG=1 shows the traceback of an error. NO_COLOR=1 shows no colour,
    as without a terminal. Completion of commands and options in bash:
      eval "$(_PGBUDGET_COMPLETE=bash_source pgbudget)"
    """
    # A wrong host should not keep a human waiting for minutes.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our bars shows something else in their place


for section in SECTIONS.values():
    for command in section:
        app.add_command(command)
