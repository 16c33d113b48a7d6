"""`pgbudget demo`."""

from __future__ import annotations

import signal
import sys

import click

from pgbudget.cli._common import OK, REFUSED, out, server_option


@click.command()
@server_option
@click.pass_context
def demo(ctx: click.Context, dsn: str | None) -> None:
    """Show the race, its end, and 64 connections at one limit.

    \b
    1  two connections read $95 of $100, find it fine, spend $10 each: $115
    2  the same two reserve first: no overshoot
    3  64 connections through both kinds of lock, against one limit

    Without --dsn it starts a PostgreSQL of its own (extra `embedded`) and stops it at the end; DATABASE_URL is not
    looked at. Exits with 1 when anything overshoots.
    """
    from pgbudget import demo as shown  # noqa: PLC0415 - only this command needs it

    # So that a plain `kill` also drops the database and stops the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    ctx.exit(OK if shown.run(out(markup=True), dsn) else REFUSED)
