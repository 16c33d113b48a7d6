"""Calls of the public functions as one row with named columns, and the tables behind them as their owner sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]
Amount = Decimal | int | str | None

__tracebackhide__ = True  # pytest then shows the test's line, not this module's


def rows(connection: Connection, query: str, *params: object) -> list[Any]:
    """The rows of a query, with named columns."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(query.encode(), params or None).fetchall()


def one(connection: Connection, query: str, *params: object) -> Any:
    """The only row of a query."""
    answer = rows(connection, query, *params)
    assert len(answer) == 1, f"{query} gave {len(answer)} rows"
    return answer[0]


def value(connection: Connection, query: str, *params: object) -> Any:
    """The one value that a query answers with."""
    return one(connection, query, *params)[0]


def _call(function: str, args: tuple[object, ...], named: dict[str, object]) -> tuple[str, list[object]]:
    if "." not in function:
        function = f"budget.{function}"
    arguments = ["%s"] * len(args) + [f"{name} => %s" for name in named]
    params = [Jsonb(value) if isinstance(value, dict) else value for value in (*args, *named.values())]
    return f"SELECT * FROM {function}({', '.join(arguments)})", params


def call(connection: Connection, function: str, *args: object, **named: object) -> Any:
    """The one row that a function of schema budget answers with; a function of another schema is named in full."""
    query, params = _call(function, args, named)
    return one(connection, query, *params)


@contextmanager
def failing(connection: Connection, sqlstate: str) -> Iterator[pytest.ExceptionInfo[psycopg.Error]]:
    """What the block does ends with this SQLSTATE, and the error has a message, a DETAIL and a HINT.

    A transaction that is open goes on. The error is the `value` of what this gives.
    """
    with pytest.raises(psycopg.Error) as caught, connection.transaction():
        yield caught
    diag = caught.value.diag
    have = (caught.value.sqlstate, bool(diag.message_detail), bool(diag.message_hint))
    if have != (sqlstate, True, True):
        raise AssertionError(f"SQLSTATE, DETAIL?, HINT? are {have}, wanted {sqlstate} with both: {caught.value!r}")


def fails(connection: Connection, sqlstate: str, function: str, *args: object, **named: object) -> Any:
    """A call ends with this SQLSTATE, DETAIL and HINT. Returns the error's `diag`."""
    with failing(connection, sqlstate) as caught:
        call(connection, function, *args, **named)
    return caught.value.diag


def expect(row: Any, **wanted: object) -> None:
    """These columns of the row have these values."""
    have = {name: getattr(row, name) for name in wanted}
    if have != wanted:
        differ = [name for name in wanted if have[name] != wanted[name]]
        raise AssertionError("\n".join(f"{name} is {have[name]!r}, not {wanted[name]!r}" for name in differ))


@contextmanager
def as_owner(connection: Connection) -> Iterator[None]:
    """Drop the role that the session has taken on, for as long as the test itself looks at the tables."""
    role = one(connection, "SELECT current_setting('role') AS role").role
    connection.execute("RESET ROLE")
    yield
    connection.execute("SELECT set_config('role', %s, false)", [role])


def reserve(connection: Connection, cost: Amount = 10, service: str = "test", **named: object) -> UUID:
    """An open hold, which must be granted. Returns its id."""
    verdict = call(connection, "reserve", cost, service, **named)
    assert verdict.can_proceed, verdict
    reservation_id: UUID = verdict.reservation_id
    return reservation_id


def spend(
    connection: Connection,
    cost: Amount,
    *,
    service: str = "direct",
    at: datetime | None = None,
    metadata: dict[str, object] | None = None,
) -> UUID:
    """Plain spend, written as an application writes it that knows nothing of schema budget. Returns its id."""
    spend_id = uuid4()
    with as_owner(connection):
        connection.execute(
            """INSERT INTO public.cost_tracking (id, service_name, cost, metadata, created_at)
               VALUES (%s, %s, %s, %s, coalesce(%s, budget._now()))""",
            (spend_id, service, cost, Jsonb(metadata or {}), at),
        )
    return spend_id


def ledger(connection: Connection, row_id: UUID | None) -> Any:
    """A row of the ledger, its type out of the metadata, and its place, which every update changes."""
    with as_owner(connection):
        return one(
            connection,
            "SELECT l.*, l.metadata ->> 'type' AS type, l.ctid AS place FROM public.cost_tracking AS l WHERE l.id = %s",
            row_id,
        )


def ledger_size(connection: Connection) -> int:
    with as_owner(connection):
        size: int = one(connection, "SELECT count(*) AS size FROM public.cost_tracking").size
    return size


def total(connection: Connection) -> Decimal:
    """What the day counts now, as a caller is told."""
    current_total: Decimal = call(connection, "check", 0, "test").current_total
    return current_total


def configure(connection: Connection, limits: dict[str, object] | str | None) -> None:
    """Write the limits past `set_limits`: as an object, as the raw text of the row, or, for None, no row at all.

    A Decimal is written as a number.
    """
    with as_owner(connection):
        connection.execute("DELETE FROM public.system_config WHERE key = 'budget_limits'")
        if limits is not None:
            text = limits if isinstance(limits, str) else json.dumps(limits, default=float)
            connection.execute("INSERT INTO public.system_config (key, value) VALUES ('budget_limits', %s)", [text])


def escalations(connection: Connection) -> list[Any]:
    """All escalations: kind, severity, subject, day, reason, status and context, sorted by kind and subject."""
    with as_owner(connection):
        return rows(
            connection,
            """SELECT e.trigger_type AS kind, e.context ->> 'severity' AS severity, e.context ->> 'subject' AS subject,
                      e.context ->> 'day' AS day, e.reason, e.status, e.context, e.created_at, e.resolved_at
                 FROM public.escalations AS e
                ORDER BY 1, 3, 4""",
        )
