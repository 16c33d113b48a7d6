"""Spending by hand: `pgbudget reserve`, `settle`, `cancel`, `record`, `extend`, `check` and `expire`."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
from rich.text import Text

from pgbudget.cli._common import (
    NO_ROOM,
    a_span,
    amount,
    an_amount,
    client,
    clock,
    dsn_option,
    json_option,
    json_value,
    out,
    print_figures,
    print_json,
    span,
)
from pgbudget.results import Expired, Outcome, Verdict

_MEANING = {
    "granted": "it is held, make the call",
    "replayed": "this id holds it already, and nothing was charged twice; make the call",
    "in_flight": "it would fit once open holds end",
    "exhausted": "what is settled leaves no room",
    "too_large": "it is more than the limit itself",
    "frozen": "somebody pulled the kill switch; `pgbudget status` says why",
    "ended": "the hold of this id has ended; do not spend on it, take a new id",
}

_estimate = click.argument("estimated_cost", metavar="ESTIMATE", type=an_amount)
_service = click.argument("service_name", metavar="SERVICE")
_hold = click.argument("reservation_id", metavar="HOLD", type=click.UUID)
_metadata = click.option("--metadata", type=json_value, metavar="JSON", help="An object, kept in the ledger's row.")
_ttl = click.option("--ttl", type=a_span, metavar="TIME", help="How long the hold counts, as 90s, 15m or 2h.")


@click.command()
@_estimate
@_service
@_metadata
@click.option("--id", "reservation_id", type=click.UUID, metavar="UUID", help="A key of yours: charged once under it.")
@_ttl
@click.option("--advisory", is_flag=True, help="Under the advisory lock, which lets direct writers go on.")
@dsn_option
@json_option
@click.pass_context
def reserve(ctx: click.Context, /, *, advisory: bool, dsn: str, as_json: bool, **request: Any) -> None:
    """Hold ESTIMATE for SERVICE before it is spent, if there is room.

    Settle the hold with what was spent, or cancel it; else it lapses. Exits with 4 when it is refused.

    \b
    Example, around a job that costs money:
      id=$(uuidgen)
      pgbudget reserve 2.50 nightly-report --id $id || exit
      ./nightly-report
      pgbudget settle $id 1.87
    """
    with client(dsn) as budget:
        function = budget.reserve_advisory if advisory else budget.reserve
        _show_verdict(ctx, function(**request), as_json)


@click.command()
@_estimate
@_service
@_metadata
@dsn_option
@json_option
@click.pass_context
def check(ctx: click.Context, /, *, dsn: str, as_json: bool, **request: Any) -> None:
    """Ask whether ESTIMATE would be granted to SERVICE now. Changes nothing.

    Never spend on this answer: it may be stale by the time it is read. Exits with 4 when it would be refused.
    """
    with client(dsn) as budget:
        _show_verdict(ctx, budget.check(**request), as_json)


@click.command()
@_hold
@click.option("--estimate", "new_estimate", type=an_amount, help="The new total; not an addition.")
@_ttl
@dsn_option
@json_option
@click.pass_context
def extend(ctx: click.Context, /, *, dsn: str, as_json: bool, **request: Any) -> None:
    """Give an open HOLD another total estimate, more time, or both.

    The time counts from now. All or nothing: refused, the hold stays as it was, and this exits with 4.
    """
    with client(dsn) as budget:
        _show_verdict(ctx, budget.extend(**request), as_json)


@click.command()
@_hold
@click.argument("actual_cost", metavar="ACTUAL", type=an_amount)
@_metadata
@dsn_option
@json_option
def settle(*, dsn: str, as_json: bool, **request: Any) -> None:
    """Turn a HOLD into the ACTUAL spend.

    In full, also above its estimate or after its end: the money is gone.
    """
    with client(dsn) as budget:
        _show_outcome(budget.settle(**request), as_json)


@click.command()
@_hold
@click.option("--reason", metavar="TEXT", help="Why, kept in the ledger's row.")
@dsn_option
@json_option
def cancel(*, reservation_id: UUID, reason: str | None, dsn: str, as_json: bool) -> None:
    """Give the money of a HOLD back, because nothing was spent."""
    with client(dsn) as budget:
        _show_outcome(budget.cancel(reservation_id, reason), as_json)


@click.command()
@click.argument("actual_cost", metavar="ACTUAL", type=an_amount)
@_service
@_metadata
@click.option("--id", type=click.UUID, metavar="UUID", help="A key of yours: booked once under it.")
@dsn_option
@json_option
def record(*, dsn: str, as_json: bool, **request: Any) -> None:
    """Book ACTUAL spend of SERVICE that had no hold.

    Never refused: the money is gone.
    """
    with client(dsn) as budget:
        _show_outcome(budget.record(**request), as_json)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many in one transaction.")
@click.option("--all", "repeat", is_flag=True, help="Again, until none is left.")
@dsn_option
@json_option
def expire(*, limit: int | None, repeat: bool, dsn: str, as_json: bool) -> None:
    """Mark lapsed holds as expired: bookkeeping, for cron.

    A lapsed hold counts nothing from its instant, marked or not; no decision waits for this.

    \b
    Example, for a crontab:
      17 * * * *  pgbudget expire --all --dsn service=budget
    """
    expired, released = 0, Decimal(0)
    with client(dsn) as budget, out().status("marking lapsed holds") as progress:
        while True:
            batch = budget.expire(limit)
            expired, released = expired + batch.expired, released + batch.released
            progress.update(f"marking lapsed holds: {expired}")
            if not (repeat and batch.expired):
                break
    if as_json:
        print_json(Expired(expired, released))
    else:
        out().print(f"{expired} marked, {amount(released)} given back")


def _show_verdict(ctx: click.Context, verdict: Verdict, as_json: bool) -> None:
    if as_json:
        print_json(verdict)
        ctx.exit(0 if verdict else NO_ROOM)
    now = datetime.now(timezone.utc)

    def when(at: datetime | None) -> str:
        return f"in {span(at - now)}, at {clock(at, now)}" if at else ""

    # `check` holds nothing, and the verdict has no id then.
    held = verdict.reservation_id is not None
    meaning = _MEANING.get(verdict.reason, "") if held or not verdict else "it would be held now"
    console = out()
    console.print(Text.assemble((verdict.reason, "bold green" if verdict else "bold red"), f": {meaning}"))
    print_figures(
        console,
        {
            "hold": verdict.reservation_id and str(verdict.reservation_id),
            "lapses": when(verdict.expires_at),
            "before this": f"{amount(verdict.current_total)} of {amount(verdict.limit_amount)} settled and held, "
            f"{amount(verdict.remaining)} free ({verdict.budget})",
            "try again": "" if verdict else when(verdict.retry_at),
        },
    )
    ctx.exit(0 if verdict else NO_ROOM)


def _show_outcome(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    console = out()
    console.print(Text(outcome.status, style="bold green"))
    print_figures(
        console,
        {
            "id": str(outcome.reservation_id),
            "estimate": outcome.estimated_cost is not None and amount(outcome.estimated_cost),
            "cost": outcome.actual_cost is not None and amount(outcome.actual_cost),
            "late": "the hold had ended or lapsed before" if outcome.late else "",
            "over limit": outcome.over_limit and Text("this spend left the day above its limit", style="bold red"),
        },
    )
