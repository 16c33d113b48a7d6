"""What the report tells, read in one snapshot. Views alone, as `budget_reader`; what needs more is None without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import psycopg

from pgbudget import _trust, _wire
from pgbudget._loading import read
from pgbudget.budget import Budget
from pgbudget.results import Status

T = TypeVar("T")
Connection = psycopg.Connection[Any]

MOST_ROWS = 100
"""Of holds and of escalations; the page says how many there are."""


@dataclass(frozen=True)
class Day:
    """A day's spend; a day without any is there too."""

    day: date
    settled: Decimal
    held: Decimal
    calls: int


@dataclass(frozen=True)
class Service:
    """A service's spend of all the days. `cancelled` and `lapsed` are the estimates of what was."""

    service_name: str
    settled: Decimal
    held: Decimal
    cancelled: Decimal
    lapsed: Decimal
    calls: int


@dataclass(frozen=True)
class Accuracy:
    """How a service's estimates compare with what its settled calls cost."""

    service_name: str
    calls: int
    """Settled holds."""
    estimated: Decimal
    actual: Decimal
    over: int
    over_amount: Decimal
    """Held for nothing: the sum of what the estimates of `over` calls were too high."""
    under: int
    under_amount: Decimal
    unestimated: int
    """Spend that was booked without a hold, and so without an estimate."""
    unestimated_amount: Decimal


@dataclass(frozen=True)
class Escalation:
    """What a human was told. `total` is how many there are."""

    created_at: datetime
    kind: str
    severity: str | None
    status: str
    reason: str | None
    total: int


@dataclass(frozen=True)
class Hold:
    """An open hold. `total` is how many there are."""

    service_name: str
    estimated_cost: Decimal
    reserved_at: datetime | None
    expires_at: datetime
    total: int


@dataclass(frozen=True)
class Facts:
    """All that the page shows. None: the role may not read it. Amounts are in the currency of the limits."""

    database: str
    read_at: datetime
    """By the clock that every rule reads, in UTC."""
    status: Status
    days: list[Day]
    services: list[Service]
    holds: list[Hold]
    accuracy: list[Accuracy] | None
    escalations: list[Escalation]
    unpriced: list[str] | None
    """Active proposers without a price: no estimate can be made for them."""


_DAYS = """
SELECT
    d.day::date AS day, coalesce(sum(s.settled), 0) AS settled, coalesce(sum(s.held), 0) AS held,
    coalesce(sum(s.calls), 0)::bigint AS calls
FROM generate_series(%(first)s::timestamp, %(last)s::timestamp, interval '1 day') AS d (day)
LEFT JOIN budget.daily_spend AS s ON s.day = d.day::date
GROUP BY d.day
ORDER BY d.day
"""
_SERVICES = """
SELECT
    s.service_name, sum(s.settled) AS settled, sum(s.held) AS held, sum(s.cancelled) AS cancelled,
    sum(s.expired) AS lapsed, sum(s.calls)::bigint AS calls
FROM budget.daily_spend AS s
WHERE s.day BETWEEN %(first)s AND %(last)s
GROUP BY s.service_name
ORDER BY sum(s.settled + s.held) DESC, s.service_name
"""
_HOLDS = """
SELECT h.service_name, h.estimated_cost, h.reserved_at, h.expires_at, count(*) OVER () AS total
FROM budget.open_holds AS h
ORDER BY h.reserved_at, h.reservation_id
LIMIT %(most)s
"""
# An application's own metadata may hold anything under our names.
_ACCURACY = """
SELECT
    l.service_name,
    count(e.estimate) AS calls,
    coalesce(sum(e.estimate), 0) AS estimated,
    coalesce(sum(l.cost) FILTER (WHERE e.estimate IS NOT NULL), 0) AS actual,
    count(*) FILTER (WHERE e.estimate > l.cost) AS over,
    coalesce(sum(e.estimate - l.cost) FILTER (WHERE e.estimate > l.cost), 0) AS over_amount,
    count(*) FILTER (WHERE e.estimate < l.cost) AS under,
    coalesce(sum(l.cost - e.estimate) FILTER (WHERE e.estimate < l.cost), 0) AS under_amount,
    count(*) FILTER (WHERE e.estimate IS NULL) AS unestimated,
    coalesce(sum(l.cost) FILTER (WHERE e.estimate IS NULL), 0) AS unestimated_amount
FROM public.cost_tracking AS l
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN l.metadata ? 'reserved_at' AND l.metadata ->> 'estimated_cost' ~ '^[0-9]+([.][0-9]+)?$'
            THEN (l.metadata ->> 'estimated_cost')::numeric
    END AS estimate
) AS e
WHERE
    l.created_at >= %(first)s::timestamp AT TIME ZONE %(timezone)s::text
    AND l.created_at < (%(last)s::timestamp + interval '1 day') AT TIME ZONE %(timezone)s::text
    AND (NOT coalesce(l.metadata ? 'reserved_at', false) OR l.metadata ->> 'type' = 'actual')
GROUP BY l.service_name
ORDER BY sum(abs(e.estimate - l.cost)) DESC NULLS LAST, l.service_name
"""
_ESCALATIONS = """
SELECT
    e.created_at, e.kind, e.severity, e.status, e.reason, count(*) OVER () AS total
FROM budget.escalations AS e
WHERE
    e.created_at >= %(first)s::timestamp AT TIME ZONE %(timezone)s::text
    AND e.created_at < (%(last)s::timestamp + interval '1 day') AT TIME ZONE %(timezone)s::text
ORDER BY e.created_at DESC, e.id
LIMIT %(most)s
"""
_UNPRICED = """
SELECT p.name
FROM public.proposer_configs AS p
CROSS JOIN (VALUES ('input_cost_per_token'), ('output_cost_per_token')) AS k (key)
WHERE p.active AND NOT coalesce(
    CASE WHEN jsonb_typeof(p.cost_profile -> k.key) = 'number' THEN (p.cost_profile ->> k.key)::numeric >= 0 END, false
)
GROUP BY p.name
ORDER BY p.name
"""


def read_facts(connection: Connection, days: int, *, accept_owner: bool = False) -> Facts:
    """Read the last so many days, today included, from `budget.status`, `daily_spend`, `open_holds`, `escalations`.

    The ledger and the proposers are read where the role may: SELECT on `public.cost_tracking` and
    `public.proposer_configs`.

    Args:
        connection: in autocommit mode; its next transactions are read-only.
        days: at least 1.
        accept_owner: trust the owners of these two tables with the rights of this role, instead of stopping.

    Raises:
        BudgetError: if such an owner, who is not trusted, could run code with the rights of this role.
        psycopg.Error: if the database does.
    """
    # One snapshot, so that all figures agree. A zone's name means that zone where the session's own is UTC.
    connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True

    def allowed(table: str, found: Callable[[], list[T]]) -> list[T] | None:
        try:
            with connection.transaction():
                _trust.require_tables(connection, [table], accept_owner=accept_owner)
                return found()
        except psycopg.errors.InsufficientPrivilege:
            return None

    with _wire.pinned(connection, timezone="UTC"):
        [(now,)] = connection.execute("SELECT r.now FROM budget._reading() AS r")
        status = Budget(connection, in_transaction=True).status()
        asked = {
            "first": status.day - timedelta(days=days - 1),
            "last": status.day,
            "timezone": status.timezone,
            "most": MOST_ROWS,
        }
        return Facts(
            database=connection.info.dbname,
            read_at=now,
            status=status,
            days=read(connection, Day, _DAYS, asked),
            services=read(connection, Service, _SERVICES, asked),
            holds=read(connection, Hold, _HOLDS, asked),
            accuracy=allowed("cost_tracking", lambda: read(connection, Accuracy, _ACCURACY, asked)),
            escalations=read(connection, Escalation, _ESCALATIONS, asked),
            unpriced=allowed("proposer_configs", lambda: [name for (name,) in connection.execute(_UNPRICED)]),
        )
