"""`pgbudget report`: a page to look at."""

from __future__ import annotations

import click

from pgbudget.cli._common import (
    accepts_owner,
    connected,
    dsn_option,
    json_option,
    out_option,
    print_json,
    say,
    write_page,
)


@click.command()
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How many, today included.")
@out_option(default="report.html", show_default=True, help="Where to; - for stdout.")
@dsn_option
@json_option
def report(*, days: int, page: str, dsn: str, as_json: bool) -> None:
    """Write one self-contained page about the last days.

    Spend per day against the limits and per service, estimates against actual costs, refusals and escalations, open
    holds. It reads views alone, as budget_reader may; what needs SELECT on public.cost_tracking, public.escalations
    or public.proposer_configs is left out, and named, where the role has not got it. --json prints the figures
    instead.

    \b
    Examples:
      pgbudget report --days 30 --out report.html
      pgbudget report --json | jq '.days[-1]'
    """
    from pgbudget.report import read_facts, report_page  # noqa: PLC0415 - only this command needs it

    with connected(dsn) as (connection, _):
        facts = read_facts(connection, days, accept_owner=accepts_owner())
    if as_json:
        print_json(facts)
        return
    write_page(page, report_page(facts))
    if page != "-":
        say(f"{page}: {days} days of {facts.database}")
