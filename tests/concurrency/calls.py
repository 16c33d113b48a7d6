"""What clients do, as jobs for `tests.race.Crowd` and `Session`; and what the ledger says afterwards."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from tests import rows
from tests.race import Connection, Job
from tests.rows import value
from tests.series import by_series

VARIANTS = ("reserve", "reserve_advisory")
"""The functions that decide about a new hold. In core the one does so under the table lock, the other under the
advisory lock; with budgets both lock the balances alone."""

UNDER_TABLE_LOCK = by_series(core=("reserve",), budgets=())
"""Those of them that keep writers of the ledger waiting, and wait for them."""

LIMIT = Decimal(100)
"""The limit that the migrations write."""

Amount = Decimal | int


def call(function: str, *args: object, **named: object) -> Job[Any]:
    """A call of a function, of schema budget if no other is named. Its answer is the one row."""
    return lambda connection: rows.call(connection, function, *args, **named)


def change(query: str, *params: object) -> Job[int]:
    """A statement whose answer is the number of rows it changed."""
    return lambda connection: connection.execute(query.encode(), params).rowcount


def sqlstate(job: Job[Any]) -> Job[Any]:
    """The job, with the SQLSTATE for an answer where the database answers with an error."""

    def run(connection: Connection) -> Any:
        try:
            return job(connection)
        except psycopg.Error as error:
            return error.sqlstate

    return run


def answer(row: Any) -> str | int | None:
    """What a call says, in a word: the state, the verdict's reason, the number of rows or the SQLSTATE."""
    if row is None or isinstance(row, str | int):
        return row
    if hasattr(row, "status"):
        return " ".join(["late"] * row.late + ["over"] * bool(row.over_limit) + [row.status])
    if hasattr(row, "frozen"):
        return f"frozen {row.reason}" if row.frozen else "not frozen"
    if hasattr(row, "emergency_kill"):
        return f"limit {row.emergency_kill}"
    return int(row.expired) if hasattr(row, "expired") else str(row.reason)


def reserve(variant: str, cost: Amount, service: str = "test", **named: object) -> Job[Any]:
    return call(variant, cost, service, **named)


def extend(hold: UUID, cost: Amount) -> Job[Any]:
    return call("extend", hold, cost)


def settle(hold: UUID, cost: Amount) -> Job[Any]:
    return call("settle", hold, cost)


def cancel(hold: UUID) -> Job[Any]:
    return call("cancel", hold)


def record(cost: Amount, **named: object) -> Job[Any]:
    return call("record", cost, "test", **named)


def expire(at_most: int = 1000) -> Job[Any]:
    return call("expire", at_most)


def set_limits(**limits: object) -> Job[Any]:
    return call("set_limits", limits)


def unfreeze() -> Job[Any]:
    return call("unfreeze")


def check(cost: Amount) -> Job[Any]:
    return call("check", cost, "test")


def freeze(reason: str) -> Job[Any]:
    return call("freeze", reason)


def insert(cost: Amount, *, id: UUID | None = None) -> Job[int]:  # noqa: A002 - the column's name
    """Plain spend, written as an application writes it that knows nothing of schema budget."""
    return change(
        """INSERT INTO public.cost_tracking (id, service_name, cost)
           VALUES (coalesce(%s, gen_random_uuid()), 'direct', %s)""",
        id,
        cost,
    )


def update(hold: UUID, cost: Amount) -> Job[int]:
    """The handover's own settle."""
    return change(
        """UPDATE public.cost_tracking SET cost = %s, metadata = '{"type": "actual"}' WHERE id = %s""", cost, hold
    )


def lock_ledger() -> Job[int]:
    """What keeps every writer of the ledger waiting, as a decision under the table lock does."""
    return change("LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE")


def delete(hold: UUID) -> Job[int]:
    """The handover's own cancel."""
    return change("DELETE FROM public.cost_tracking WHERE id = %s", hold)


def holds(db: Connection, count: int, cost: Amount, ttl: str | None = None) -> list[UUID]:
    """So many open holds; with a ttl of next to nothing, so many lapsed ones."""
    granted = db.execute(
        """SELECT (budget.reserve_advisory(%s, 'test', p_ttl => %s)).reservation_id FROM generate_series(1, %s)""",
        (cost, ttl, count),
    ).fetchall()
    assert (None,) not in granted, "there is no room for all of them"
    return [hold for (hold,) in granted]


def total(db: Connection, service: str | None = None) -> Any:
    """The sum of the whole ledger, or of one service in it, by the plainest of queries."""
    return value(
        db,
        "SELECT coalesce(sum(cost), 0) FROM public.cost_tracking WHERE service_name = coalesce(%s, service_name)",
        service,
    )


def escalations(db: Connection) -> list[tuple[str, str]]:
    """Kind and subject of all escalations that wait for a human, sorted."""
    return [(e.kind, e.subject) for e in rows.escalations(db) if e.status == "pending"]


def empty_ledger(db: Connection) -> None:
    db.execute("DELETE FROM public.cost_tracking")


def forget_escalations(db: Connection) -> None:
    db.execute("DELETE FROM public.escalations")
