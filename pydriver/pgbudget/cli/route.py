"""`pgbudget route`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.text import Text

from pgbudget.cli._common import (
    OK,
    REFUSED,
    amount,
    client,
    dsn_option,
    json_option,
    json_value,
    out,
    print_figures,
    print_json,
)


@click.command()
@click.argument("work_order_id", metavar="WORK_ORDER", type=click.UUID)
@click.option(
    "--task", required=True, metavar="TEXT", help="What is to be done: searched for the words of a hard stop."
)
@click.option("--score", required=True, type=float, metavar="NUMBER", help="Its complexity, usually from 0 to 1.")
@click.option("--approved", is_flag=True, help="The Director has approved it; without this nothing is routed.")
@click.option(
    "--context", default="{}", type=json_value, metavar="JSON", help="Context requirements; no rule reads them."
)
@dsn_option
@json_option
@click.pass_context
def route(
    ctx: click.Context,
    *,
    work_order_id: UUID,
    task: str,
    score: float,
    approved: bool,
    context: Any,
    dsn: str,
    as_json: bool,
) -> None:
    """Reserve the budget for a work order and choose who does it.

    Prints the decision, which is stored in the order's metadata. Its reservation is to be settled or cancelled when
    the work is done; routing the order again cancels it first. Exits with 1 when the order is not routed.
    """
    with client(dsn) as budget:
        routing = budget.route_work_order(work_order_id, task, context, score, approved)
    if as_json:
        print_json(routing)
    elif routing.routing_decision:
        show_decision(out(), routing.routing_decision)
    else:
        out().print(Text.assemble(("not routed: ", "bold red"), str(routing.error)))
    ctx.exit(OK if routing else REFUSED)


def show_decision(console: Console, decision: dict[str, Any]) -> None:
    """Print the decision for a human, at the console's width."""
    metadata = decision["routing_metadata"]
    hard_stop = "yes" if metadata["hard_stop_required"] else "no"
    figures = {
        "instead": decision["fallback_proposer"] or "nobody",
        "why": decision["reason"],
        "strategy": f"{metadata['routing_strategy']}, confidence {decision['confidence']}",
        "candidates": f"{metadata['candidates_count']} of {', '.join(metadata['available_proposers'])}",
        "task": f"complexity {metadata['complexity_score']}, hard stop: {hard_stop}",
        "day before": f"{amount(Decimal(metadata['daily_spend']))} settled and held ({metadata['budget_status']})",
        "reservation": metadata["budget_reservation_id"],
    }
    console.print(Text.assemble("routed to ", (decision["selected_proposer"], "bold green")))
    print_figures(console, figures)
