"""Batches as callers send them, and the calls that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from tests.rows import Connection, as_owner, call, escalations, fails, rows

Element = dict[str, Any]
"""A request or a settlement, by the names of its keys."""


def reserve_many(connection: Connection, requests: Sequence[object]) -> list[Any]:
    """The verdicts on a batch."""
    return rows(connection, "SELECT * FROM budget.reserve_many(%s)", Jsonb(requests))


def settle_many(connection: Connection, settlements: Sequence[object]) -> list[Any]:
    """The outcomes of a batch."""
    return rows(connection, "SELECT * FROM budget.settle_many(%s)", Jsonb(settlements))


def one_by_one(connection: Connection, function: str, elements: Sequence[Element]) -> list[Any]:
    """What the calls that a batch stands for answer, one after another."""
    return [call(connection, function, **{f"p_{key}": value for key, value in e.items()}) for e in elements]


def refuses(connection: Connection, sqlstate: str, function: str, batch: object) -> str:
    """The batch is an error, with DETAIL and HINT. Returns the DETAIL."""
    detail: str = fails(connection, sqlstate, function, Jsonb(batch)).message_detail
    return detail


def minutes(number: int) -> str:
    """A time to live as JSON has it."""
    return f"{timedelta(minutes=number).total_seconds()} seconds"


def state(connection: Connection) -> dict[str, Any]:
    """All that a batch may change, but the figures in the escalations: those of one by one tell of a part of it."""
    with as_owner(connection):
        return {
            "ledger": rows(connection, "SELECT l.* FROM public.cost_tracking AS l ORDER BY l.id"),
            "standing": rows(connection, "SELECT * FROM budget.budget_status"),
            "escalations": [(e.kind, e.severity, e.subject, e.day) for e in escalations(connection)],
            "invariants": rows(connection, "SELECT * FROM budget.invariants"),
        }
