"""Lives through a log in a database of its own, once for each estimate rule and limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

from pgbudget import _trust, _wire
from pgbudget.budget import Budget
from pgbudget.embedded import Server
from pgbudget.migrations import migrate
from pgbudget.replay.figures import Answer, Figures, measure
from pgbudget.replay.log import Call
from pgbudget.scratch import scratch_database

RULES = ("logged", "tier", "tokens", "history")
"""As the log has it; by the tiers of `budget.estimate`; the token ceiling; a quantile of the service's history."""

Prices = Mapping[str, tuple[Decimal, Decimal]]
"""Of a token of input and of output, by proposer."""
Connection = psycopg.Connection[Any]

_EVENTS_A_BATCH = 500
_SQL = Path(__file__).with_name("replay.sql")
# What is in it is gone in a minute anyway.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "shared_buffers": "256MB"}

_PRICES = """
SELECT name, (cost_profile ->> 'input_cost_per_token')::numeric, (cost_profile ->> 'output_cost_per_token')::numeric
FROM public.proposer_configs
WHERE
    jsonb_typeof(cost_profile -> 'input_cost_per_token') = 'number'
    AND jsonb_typeof(cost_profile -> 'output_cost_per_token') = 'number'
"""
_ANSWERS = """
SELECT
    c.line, c.at, c.ended_at, c.service, a.estimate, coalesce(c.actual, 0) AS actual, a.can_proceed, a.reason,
    a.current_total, (budget._window(c.at, l.timezone)).day, a.resets_at, a.retry_at, a.expires_at, a.late
FROM budget.limits() AS l
CROSS JOIN replay.call AS c
INNER JOIN replay.answer AS a ON a.line = c.line
ORDER BY c.at, c.line
"""


@dataclass(frozen=True)
class Plan:
    """What to try."""

    rules: Sequence[str]
    limits: Sequence[Decimal]
    settings: Mapping[str, object]
    """The other keys of the budget's limits, as `budget.set_limits` takes them."""
    quantile: Decimal
    first_estimate: Decimal | None
    """For the history rule as long as a service has no history; None for what else the log says."""


def prices_in(dsn: str, *, accept_owner: bool = False) -> dict[str, tuple[Decimal, Decimal]]:
    """Return the prices that a database has in its table of proposers; none where there is no such table.

    Args:
        dsn: libpq URI or keyword string.
        accept_owner: trust the table's owner with the rights of this role, instead of stopping.

    Raises:
        BudgetError: if that owner, who is not trusted, could run code with the rights of this role.
        psycopg.Error: if the database cannot be reached.
    """
    with _wire.connect(dsn, "pgbudget replay") as connection:
        try:
            with connection.transaction():
                _trust.require_tables(connection, ["proposer_configs"], accept_owner=accept_owner)
                return {name: (price_in, price_out) for name, price_in, price_out in connection.execute(_PRICES)}
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege):
            return {}


def possible_rules(calls: Sequence[Call], first_estimate: Decimal | None) -> list[str]:
    """Return the rules for which every call of the log has what they need."""
    found = {
        "logged": all(call.logged is not None for call in calls),
        "tier": all(call.complexity_score is not None for call in calls),
        "tokens": all(call.input_tokens is not None and call.max_output_tokens is not None for call in calls),
    }
    found["history"] = first_estimate is not None or any(found.values())
    return [rule for rule in RULES if found[rule]]


@contextmanager
def scratch(dsn: str | None) -> Iterator[str]:
    """Give a migrated database that is gone afterwards.

    Args:
        dsn: a server to use, as a role that may create databases and roles; None for a private one.

    Raises:
        psycopg.Error: if the database does.
        EmbeddedError: if the private server cannot be started.
    """
    if dsn is None:
        with Server(settings=_SETTINGS) as server, scratch(server.dsn()) as made:
            yield made
        return
    with scratch_database(dsn, "replay") as made:
        migrate(made)
        yield made


def replay(
    dsn: str, calls: Sequence[Call], prices: Prices, plan: Plan, advance: Callable[[int, int], None]
) -> list[Figures]:
    """Replay a log for each rule and each limit.

    Args:
        dsn: a database of `scratch`, which is changed past use for anything else.
        calls: of the log.
        prices: of the proposers that it names.
        plan: what to try.
        advance: told how many events are done, of how many in all.

    Raises:
        BadConfiguration: if the limits do not fit together.
        psycopg.Error: if the database does.
    """
    # A session in UTC prints the times of the events alike everywhere.
    with psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC -c synchronous_commit=off") as connection:
        events = _load(connection, calls, prices)
        runs = [(rule, limit) for limit in plan.limits for rule in plan.rules]
        found = []
        for number, (rule, limit) in enumerate(runs):
            _begin(connection, calls, {**plan.settings, "emergency_kill": limit})
            done = 0
            for first in range(1, events + 1, _EVENTS_A_BATCH):
                last = min(events, first + _EVENTS_A_BATCH - 1)
                connection.execute(
                    "SELECT replay.run(%s, %s, %s, %s, %s)", [first, last, rule, plan.quantile, plan.first_estimate]
                )
                # A day is summed from its index alone where the pages are vacuumed, and the planner knows how many.
                grown = last >= 2 * done
                connection.execute(f"VACUUM {'(ANALYZE)' if grown else ''} public.cost_tracking".encode())
                done = last if grown else done
                advance(number * events + last, len(runs) * events)
            with connection.cursor(row_factory=class_row(Answer)) as cursor:
                answers = cursor.execute(_ANSWERS).fetchall()
            found.append(measure(rule, limit, answers, keeps=plan.settings.get("on_expiry") == "keep"))
        return found


def _load(connection: Connection, calls: Sequence[Call], prices: Prices) -> int:
    connection.execute(_SQL.read_bytes())
    connection.cursor().executemany(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
           VALUES (%s, '', '', jsonb_build_object('input_cost_per_token', %s::numeric,
                                                  'output_cost_per_token', %s::numeric))""",
        [(name, *both) for name, both in prices.items()],
    )
    columns = [field.name for field in fields(Call)]
    with connection.cursor().copy(f"COPY replay.call ({', '.join(columns)}) FROM STDIN".encode()) as copy:
        for call in calls:
            copy.write_row([getattr(call, name) for name in columns])
    [(events,)] = connection.execute("SELECT replay.prepare()")
    return int(events)


def _begin(connection: Connection, calls: Sequence[Call], limits: Mapping[str, object]) -> None:
    first = min(call.at for call in calls) - timedelta(days=1)
    connection.execute("SELECT set_config('replay.now', %s, false)", [first.isoformat()])
    connection.execute("TRUNCATE public.cost_tracking, public.escalations, replay.answer, replay.history")
    connection.execute("DELETE FROM public.system_config WHERE key = 'budget_limits'")
    Budget(connection).set_limits(limits)
