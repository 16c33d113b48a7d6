"""The group `pgbudget`: the list of its commands, and what they do with errors."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click
import psycopg

from pgbudget.cli._common import AS_JSON, FAILED, REFUSED, USAGE, complain
from pgbudget.cli.demo import demo
from pgbudget.cli.doctor import doctor
from pgbudget.cli.estimate import estimate
from pgbudget.cli.holds import holds
from pgbudget.cli.limits import limits
from pgbudget.cli.route import route
from pgbudget.cli.schema import migrate, rollback, sql
from pgbudget.cli.spend import cancel, check, expire, extend, record, reserve, settle
from pgbudget.cli.state import status
from pgbudget.cli.switch import freeze, unfreeze
from pgbudget.cli.watch import watch
from pgbudget.embedded import EmbeddedError
from pgbudget.errors import BudgetError, DatabaseBehind, LockTimeout, UndeliveredSettlement


class _Commands(click.Group):
    """Lists the commands as they were added, and turns every expected error into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BudgetError, psycopg.Error, EmbeddedError) as error:
            if os.environ.get("PGBUDGET_DEBUG"):
                raise
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
      pgbudget demo                        see the race, and its end
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

    PGBUDGET_DEBUG=1 shows the traceback of an error. NO_COLOR=1 shows no colour; without a terminal there is none.
    """
    # A wrong host should not keep a human waiting for minutes.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our bars shows something else in their place


for command in (demo, migrate, rollback, sql, doctor):
    app.add_command(command)
for command in (status, watch, holds):
    app.add_command(command)
for command in (limits, freeze, unfreeze, expire):
    app.add_command(command)
for command in (reserve, settle, cancel, record, extend, check, estimate, route):
    app.add_command(command)
