"""`pgbudget estimate tier`, `tokens` and `history`: what a call may cost, before it is reserved."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import click

from pgbudget.cli._common import a_span, amount, an_amount, client, dsn_option, json_option, out, print_json
from pgbudget.results import History


@click.group()
def estimate() -> None:
    """Say what a call may cost, by one of three rules.

    \b
    Examples:
      pgbudget estimate tier 0.4
      pgbudget estimate tokens claude-sonnet-4-5 12000 4000
      pgbudget estimate history summaries --quantile 0.95
    """


@estimate.command()
@click.argument("score", type=an_amount)
@click.option("--hard-stop", is_flag=True, help="The task touches security or architecture.")
@dsn_option
@json_option
def tier(*, score: Decimal, hard_stop: bool, dsn: str, as_json: bool) -> None:
    """By the complexity SCORE of a task, usually from 0 to 1."""
    with client(dsn) as budget:
        _show(budget.estimate(score, hard_stop), as_json)


@estimate.command()
@click.argument("proposer")
@click.argument("input_tokens", type=int)
@click.argument("max_output_tokens", type=int)
@dsn_option
@json_option
def tokens(*, proposer: str, input_tokens: int, max_output_tokens: int, dsn: str, as_json: bool) -> None:
    """By the token prices of PROPOSER: the most that the call can cost."""
    with client(dsn) as budget:
        _show(budget.estimate_tokens(proposer, input_tokens, max_output_tokens), as_json)


@estimate.command()
@click.argument("service_name", metavar="SERVICE")
@click.option("--quantile", type=an_amount, metavar="0..1", help="How many of the calls cost no more; by default 0.9.")
@click.option("--since", type=a_span, metavar="TIME", help="How far back, as 7d; by default 30 days.")
@dsn_option
@json_option
@click.pass_context
def history(
    ctx: click.Context, *, service_name: str, quantile: Decimal | None, since: timedelta | None, dsn: str, as_json: bool
) -> None:
    """By what SERVICE's settled holds have cost. Exits with 1 when there are none."""
    with client(dsn) as budget:
        found = budget.estimate_from_history(service_name, quantile, since)
    _show(found, as_json)
    ctx.exit(0 if found.samples else 1)


def _show(found: Decimal | History, as_json: bool) -> None:
    if as_json:
        answer: Any = found if isinstance(found, History) else {"estimate": found}
        print_json(answer)
    elif isinstance(found, History):
        rule = f"{amount(found.estimate)}   from {found.samples} settled holds"
        out().print(rule if found.samples else "there are no settled holds to go by")
    else:
        out().print(amount(found))
