"""`pgbudget migrate`, `pgbudget rollback` and `pgbudget sql`."""

from __future__ import annotations

import sys
from functools import partial

import click
import psycopg
from rich.console import Console
from rich.status import Status
from rich.text import Text

from pgbudget import migrations
from pgbudget.cli._common import OK, REFUSED, accepts_owner, dsn_option, json_option, out, print_json, printable
from pgbudget.cli._plan import plan_as_json, show_plan
from pgbudget.plan import plan

_series_option = click.option(
    "--series",
    type=click.Choice(migrations.known_series()),
    default="core",
    show_default=True,
    help="Which chain of migrations; budgets, many budgets, is built on core.",
)
_wait_option = click.option(
    "--lock-wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another migration run in this database.",
)


@click.command()
@dsn_option
@_series_option
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done to this database, and change nothing.")
@click.option(
    "--grant-to", metavar="ROLE", multiple=True, help="Then grant budget_caller to this role; may be repeated."
)
@click.option("--accept-negative", is_flag=True, help="Take negative rows of the ledger over, instead of stopping.")
@_wait_option
@json_option
@click.pass_context
def migrate(
    ctx: click.Context,
    *,
    dsn: str,
    series: str,
    only_plan: bool,
    grant_to: tuple[str, ...],
    accept_negative: bool,
    lock_wait: float,
    as_json: bool,
) -> None:
    """Install pgbudget in a database, or bring it up to date.

    Applies the migrations that are pending, in order; again does nothing. Safe to run from several places at once
    and after an interrupted run. The state is yoyo's, so plain `yoyo apply` on the same files may be mixed with
    this. Connect directly, not through a transaction pooler, as a role that may create a schema and roles.

    --plan looks at this very database and exits with 1 when something would stop the run.

    \b
    Examples:
      pgbudget migrate --plan              what would be done here, and why
      pgbudget migrate --grant-to app      install, and let the role app call
      pgbudget migrate --series budgets    core and, on it, many budgets
    """
    console = out()
    if only_plan:
        found = plan(
            dsn, series=series, grant_to=grant_to, accept_negative=accept_negative, accept_owner=accepts_owner()
        )
        if as_json:
            print_json(plan_as_json(found))
        else:
            show_plan(console, found)
        ctx.exit(REFUSED if found.stops else OK)
    mended: list[str] = []
    with console.status("looking for what is pending") as progress:
        applied = migrations.migrate(
            dsn,
            series=series,
            grant_to=grant_to,
            accept_negative=accept_negative,
            accept_owner=accepts_owner(),
            on_step=None if as_json else partial(_step, console, progress, "applying"),
            on_mend=mended.append,
            lock_wait_seconds=lock_wait,
        )
    if as_json:
        told = {"applied": applied, "granted_to": list(grant_to), "mended": mended}
        print_json({name: value for name, value in told.items() if value or name == "applied"})
        return
    for done in mended:
        console.print(printable(done), markup=False)
    console.print(f"{len(applied)} applied" if applied else "nothing to apply: the database is up to date")
    for role in grant_to:
        console.print(f"{role} is a member of budget_caller")


@click.command()
@dsn_option
@_series_option
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many, newest first.")
@click.option("--all", "everything", is_flag=True, help="All of the series: the application's data stays.")
@_wait_option
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nobody is asked.")
@json_option
def rollback(
    *,
    dsn: str,
    series: str,
    count: int,
    everything: bool,
    lock_wait: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Undo migrations, newest first.

    --all takes pgbudget out again: the application's tables and rows stay as they are. Refused when a migration
    has no rollback file. On a terminal it asks first. Other series go before core, and with the series budgets go
    the budgets that were set: keep what pgbudget budgets list --json prints.

    \b
    Examples:
      pgbudget rollback                    the last migration
      pgbudget rollback --all              everything
      pgbudget rollback --series budgets --all
    """
    console = out()
    if not yes and sys.stdin.isatty():
        _ask(dsn, series, None if everything else count)
    with console.status("looking for what is applied") as progress:
        undone = migrations.rollback(
            dsn,
            series=series,
            count=count,
            all=everything,
            accept_owner=accepts_owner(),
            on_step=None if as_json else partial(_step, console, progress, "rolling back"),
            lock_wait_seconds=lock_wait,
        )
    if as_json:
        print_json({"rolled_back": undone})
    else:
        console.print(f"{len(undone)} rolled back" if undone else "nothing to roll back")


def _ask(dsn: str, series: str, count: int | None) -> None:
    pending = migrations.pending(dsn, series)
    applied = [name for name in reversed(migrations.names(series)) if name not in pending][:count]
    if applied:
        with psycopg.connect(dsn) as connection:
            where = printable(f"database {connection.info.dbname} on {connection.info.host or 'this machine'}")
        names = "".join(f"  {name}\n" for name in applied)
        click.confirm(f"To be rolled back in {where}:\n{names}Go on?", abort=True, err=True)


def _step(console: Console, progress: Status, doing: str, name: str) -> None:
    console.print(f"{doing} {name}")
    progress.update(Text(f"{name}: may wait for open transactions"))


@click.command()
@_series_option
@click.option(
    "--single-transaction",
    is_flag=True,
    help="For an editor that sends one batch: the index is built plainly, and the ledger is closed meanwhile.",
)
def sql(series: str, single_transaction: bool) -> None:
    """Print all migrations as one file of plain SQL.

    For psql -f, where nothing else can be installed. `pgbudget migrate` afterwards changes nothing and marks them as
    applied. Of another series it has that alone: core's file comes first.

    \b
    Example:
      pgbudget sql > pgbudget.sql; psql -f pgbudget.sql
    """
    click.echo(migrations.script(series, single_transaction=single_transaction), nl=False)
