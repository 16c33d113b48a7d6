"""The group `pgbudget`: the list of its commands, and what they do with errors."""

from __future__ import annotations

import os
from typing import Any

import click
import psycopg

from pgbudget.cli._common import FAILED, REFUSED, USAGE, complain
from pgbudget.cli.demo import demo
from pgbudget.cli.route import route
from pgbudget.cli.schema import migrate, rollback, sql
from pgbudget.cli.state import status
from pgbudget.embedded import EmbeddedError
from pgbudget.errors import BudgetError, DatabaseBehind


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
            complain(error)
            ctx.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    if isinstance(error, BudgetError):
        return FAILED if isinstance(error, DatabaseBehind) else REFUSED
    # libpq could not even read the connection string.
    unreadable = isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None
    return USAGE if unreadable else FAILED


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pgbudget")
def app() -> None:
    """A spend limit that PostgreSQL itself enforces.

    Callers reserve the estimated cost before they spend, then settle it with the actual cost or cancel it. All of
    that is SQL in the database; this command installs it there and shows what it does.

    \b
    First steps:
      pgbudget demo                        see the race, and its end
      pgbudget migrate --dsn postgresql://user@host/db
      pgbudget status  --dsn postgresql://user@host/db

    \b
    Which database: --dsn, else DATABASE_URL, else libpq's own environment
    (PGHOST, PGDATABASE, PGSERVICE, ...). A libpq URI or "host=... dbname=...".

    \b
    Exit codes:
      0  done, and all is well
      1  refused or unhealthy: the answer was no, or something needs a human
      2  wrong usage
      3  the database cannot be reached, or it raised an error

    PGBUDGET_DEBUG=1 shows the traceback of an error.
    """
    # A wrong host should not keep a human waiting for minutes.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")


for command in (demo, migrate, rollback, status, route, sql):
    app.add_command(command)
