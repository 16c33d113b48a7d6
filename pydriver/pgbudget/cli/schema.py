"""`pgbudget migrate` and `pgbudget rollback`."""

from __future__ import annotations

import click

from pgbudget import migrations
from pgbudget.cli._common import dsn_option, json_option, out, print_json

_series_option = click.option(
    "--series",
    type=click.Choice(migrations.known_series()),
    default="core",
    show_default=True,
    help="Which chain of migrations.",
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
@_wait_option
@json_option
def migrate(*, dsn: str, series: str, lock_wait: float, as_json: bool) -> None:
    """Install pgbudget in a database, or bring it up to date.

    Applies the migrations that are pending, in order; again does nothing. Safe to run from several places at once
    and after an interrupted run. The state is yoyo's, so plain `yoyo apply` on the same files may be mixed with
    this. Connect directly, not through a transaction pooler, as a role that may create a schema and roles.
    """
    console = out()
    step = None if as_json else lambda name: console.print(f"applying {name}", markup=False)
    applied = migrations.migrate(dsn, series=series, on_step=step, lock_wait_seconds=lock_wait)
    if as_json:
        print_json({"applied": applied})
    else:
        console.print(f"{len(applied)} applied" if applied else "nothing to apply: the database is up to date")


@click.command()
@dsn_option
@_series_option
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many, newest first.")
@click.option("--all", "everything", is_flag=True, help="All of the series: the application's data stays.")
@_wait_option
@json_option
def rollback(*, dsn: str, series: str, count: int, everything: bool, lock_wait: float, as_json: bool) -> None:
    """Undo migrations, newest first.

    --all takes pgbudget out again: the application's tables and rows stay as they are. Refused when a migration
    has no rollback file.
    """
    console = out()
    step = None if as_json else lambda name: console.print(f"rolling back {name}", markup=False)
    undone = migrations.rollback(
        dsn, series=series, count=count, all=everything, on_step=step, lock_wait_seconds=lock_wait
    )
    if as_json:
        print_json({"rolled_back": undone})
    else:
        console.print(f"{len(undone)} rolled back" if undone else "nothing to roll back")
