"""Every statement that the driver sends: one builder a function, for whichever client executes it.

A builder's signature and docstring become those of the client's method of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID, uuid4

from psycopg.rows import BaseRowFactory, RowMaker, class_row, scalar_row
from psycopg.types.json import Jsonb

from pgbudget.results import Outcome, Retry, Routing, Status, Verdict

T = TypeVar("T")
Money: TypeAlias = Decimal | int | float
Metadata: TypeAlias = Mapping[str, Any]

_TYPES = {
    "actual_cost": "numeric",
    "approved_by_director": "boolean",
    "attempt": "integer",
    "complexity_score": "numeric",
    "component": "text",
    "context_requirements": "jsonb",
    "current_proposer": "text",
    "error": "text",
    "estimated_cost": "numeric",
    "failure_reason": "text",
    "hard_stop_required": "boolean",
    "id": "uuid",
    "metadata": "jsonb",
    "new_estimate": "numeric",
    "operation": "text",
    "reason": "text",
    "reservation_id": "uuid",
    "service_name": "text",
    "severity": "text",
    "task_description": "text",
    "ttl": "interval",
    "work_order_id": "uuid",
}
"""SQL type of every argument; its SQL name has `p_` in front. The casts let no function guess from a literal."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A statement, its arguments by their Python names, and what its one row becomes. Always safe to repeat."""

    function: str
    query: bytes
    arguments: dict[str, Any]
    row_factory: BaseRowFactory[T]

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments as psycopg is to send them."""
        return {k: Jsonb(v, dumps=_exact_json) if _TYPES[k] == "jsonb" else v for k, v in self.arguments.items()}


def money(value: Money) -> Decimal:
    """Return the amount as a Decimal; a float by its shortest text, so that 0.1 is 0.1. TypeError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, float)):
        raise TypeError(f"an amount is a Decimal, int or float, not {type(value).__name__}")
    return Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)


def _exact_json(value: object) -> str:
    def text(item: object) -> str:
        if isinstance(item, (Decimal, UUID)):
            return str(item)
        raise TypeError(f"metadata cannot hold a {type(item).__name__}")

    return json.dumps(dict(value) if isinstance(value, Mapping) else value, default=text, allow_nan=False)


def _columns(result: type[Any]) -> str:
    return ", ".join(field.name for field in fields(result))


def _call(columns: str, row_factory: BaseRowFactory[T], function: str, **arguments: Any) -> Call[T]:
    named = ", ".join(f"p_{name} => %({name})s::{_TYPES[name]}" for name in arguments)
    query = f"SELECT {columns} FROM budget.{function}({named}) AS result"  # noqa: S608 - every part is written here
    return Call(function, query.encode(), arguments, row_factory)


def _verdict(function: str, **arguments: Any) -> Call[Verdict]:
    return _call(_columns(Verdict), class_row(Verdict), function, **arguments)


def _outcome(function: str, **arguments: Any) -> Call[Outcome]:
    return _call(_columns(Outcome), class_row(Outcome), function, **arguments)


def _scalar(function: str, **arguments: Any) -> Call[Any]:
    return _call("result", scalar_row, function, **arguments)


def _json(result: type[T], function: str, **arguments: Any) -> Call[T]:
    names = {field.name for field in fields(result)}  # type: ignore[arg-type]

    def row_factory(_: object) -> RowMaker[T]:
        # A key that a later version adds is none of this driver's.
        return lambda row: result(**{name: value for name, value in row[0].items() if name in names})

    return _call("result", row_factory, function, **arguments)


def reserve(
    estimated_cost: Money,
    service_name: str,
    metadata: Metadata | None = None,
    *,
    reservation_id: UUID | None = None,
    ttl: timedelta | None = None,
) -> Call[Verdict]:
    """Hold the estimated cost under the table lock, or be refused: `budget.reserve`.

    A refusal is a verdict, not an error.

    Args:
        estimated_cost: in the currency of the limits.
        service_name: who spends, 1 to 200 characters.
        metadata: a JSON object, at most 64 KiB; Decimals are kept as text.
        reservation_id: makes a retry safe; without it one is made here, before the first try.
        ttl: how long the hold counts unless settled or cancelled; by default the configured time.

    Raises:
        InvalidArgument, AmountOutOfRange: for an argument; TypeError if an amount is no number.
        WrongIsolationLevel: unless the transaction is READ COMMITTED.
        ReservationMismatch: if the id was used with other arguments.
        BadConfiguration: if the limits are broken.
        LockTimeout: if the decision lock was not free in time.
    """
    return _verdict(
        "reserve",
        estimated_cost=money(estimated_cost),
        service_name=service_name,
        metadata=metadata or {},
        reservation_id=reservation_id or uuid4(),
        ttl=ttl,
    )


def reserve_advisory(
    estimated_cost: Money,
    service_name: str,
    metadata: Metadata | None = None,
    *,
    reservation_id: UUID | None = None,
    ttl: timedelta | None = None,
) -> Call[Verdict]:
    """Hold the estimated cost under an advisory lock, which leaves writers that do not reserve alone.

    `budget.reserve_advisory`; arguments, answer and errors are those of `reserve`, and the two may be mixed.
    """
    return _verdict(
        "reserve_advisory",
        estimated_cost=money(estimated_cost),
        service_name=service_name,
        metadata=metadata or {},
        reservation_id=reservation_id or uuid4(),
        ttl=ttl,
    )


def check(estimated_cost: Money, service_name: str, metadata: Metadata | None = None) -> Call[Verdict]:
    """Return the verdict that `reserve` would give now; changes nothing, locks nothing: `budget.check`.

    Raises:
        InvalidArgument, AmountOutOfRange: for an argument.
        BadConfiguration: if the limits are broken.
    """
    return _verdict("check", estimated_cost=money(estimated_cost), service_name=service_name, metadata=metadata or {})


def extend(reservation_id: UUID, new_estimate: Money | None = None, *, ttl: timedelta | None = None) -> Call[Verdict]:
    """Set a hold's new total estimate, or its time to live from now, or both, all or nothing: `budget.extend`.

    A refusal leaves the hold as it was.

    Raises:
        UnknownReservation: if there is no such hold.
        HoldStateError: if it has ended; and what `reserve` raises.
    """
    estimate = None if new_estimate is None else money(new_estimate)
    return _verdict("extend", reservation_id=reservation_id, new_estimate=estimate, ttl=ttl)


def settle(reservation_id: UUID, actual_cost: Money, metadata: Metadata | None = None) -> Call[Outcome]:
    """Turn a hold into the actual spend, in full, also above its estimate or after its end: `budget.settle`.

    Raises:
        InvalidArgument, AmountOutOfRange: for an argument.
        UnknownReservation: if there is no such hold.
        HoldStateError: if it was settled before with another amount.
        LockTimeout: if another transaction keeps the hold locked.
        UndeliveredSettlement: if the database could not be reached.
    """
    return _outcome("settle", reservation_id=reservation_id, actual_cost=money(actual_cost), metadata=metadata or {})


def cancel(reservation_id: UUID, reason: str | None = None) -> Call[Outcome]:
    """Give a hold's money back because the call failed: `budget.cancel`.

    Raises:
        UnknownReservation: if there is no such hold.
        HoldStateError: if it was settled before.
        LockTimeout, UndeliveredSettlement: as for `settle`.
    """
    return _outcome("cancel", reservation_id=reservation_id, reason=reason)


def record(
    actual_cost: Money,
    service_name: str,
    metadata: Metadata | None = None,
    *,
    id: UUID | None = None,  # noqa: A002 - the SQL function's name for it
) -> Call[Outcome]:
    """Book spend that had no hold; never refused, because the money is gone: `budget.record`.

    Args:
        actual_cost: what was spent, in the currency of the limits.
        service_name: who spent it, 1 to 200 characters.
        metadata: a JSON object, at most 64 KiB; Decimals are kept as text.
        id: makes a retry safe; without it one is made here, before the first try.

    Raises:
        InvalidArgument, AmountOutOfRange: for an argument.
        ReservationMismatch: if the id stands for something else.
        LockTimeout, UndeliveredSettlement: as for `settle`.
    """
    return _outcome(
        "record", actual_cost=money(actual_cost), service_name=service_name, metadata=metadata or {}, id=id or uuid4()
    )


def estimate(complexity_score: Money, hard_stop_required: bool) -> Call[Decimal]:
    """Return the estimated cost of routing a task of this complexity: `budget.estimate`. Errors: InvalidArgument."""
    return _scalar("estimate", complexity_score=money(complexity_score), hard_stop_required=hard_stop_required)


def detect_hard_stop(task_description: str) -> Call[bool]:
    """Say whether the text touches security or architecture, by its words: `budget.detect_hard_stop`."""
    return _scalar("detect_hard_stop", task_description=task_description)


def route_work_order(
    work_order_id: UUID,
    task_description: str,
    context_requirements: object,
    complexity_score: Money,
    approved_by_director: bool,
) -> Call[Routing]:
    """Reserve for a work order, choose its proposer and store the decision, all or nothing: `budget.route_work_order`.

    Safe to repeat: routing an order again first cancels its open hold.

    Args:
        work_order_id: the order; one that is not in the table is routed all the same, without being stored.
        task_description: searched for the words of a hard stop.
        context_requirements: anything that JSON can hold; no rule reads it.
        complexity_score: finite.
        approved_by_director: without it nothing is routed.

    Raises:
        InvalidArgument: for an argument, or if the order's metadata is no JSON object.
        WrongIsolationLevel: unless the transaction is READ COMMITTED.
        BadConfiguration: if the limits are broken.
        LockTimeout: if a lock was not free in time.
    """
    return _json(
        Routing,
        "route_work_order",
        work_order_id=work_order_id,
        task_description=task_description,
        context_requirements=context_requirements,
        complexity_score=money(complexity_score),
        approved_by_director=approved_by_director,
    )


def retry_strategy(current_proposer: str, attempt: int, failure_reason: str | None = None) -> Call[Retry]:
    """Say what to do after a failed attempt, the first being number 1: `budget.retry_strategy`.

    Raises:
        InvalidArgument: if the proposer is unknown or the attempt below 1.
    """
    return _json(
        Retry,
        "retry_strategy",
        current_proposer=current_proposer,
        attempt=attempt,
        failure_reason=failure_reason,
    )


def escalate(
    component: str,
    operation: str,
    error: str,
    *,
    work_order_id: UUID | None = None,
    severity: str = "critical",
    metadata: Metadata | None = None,
) -> Call[UUID]:
    """Ask a human to look, and return the escalation's id: `budget.escalate`.

    Where the answer is lost with the connection it may be written twice: rather told twice than never.

    Raises:
        InvalidArgument: if component, operation, error or severity is empty, or metadata is no JSON object.
    """
    return _scalar(
        "escalate",
        component=component,
        operation=operation,
        error=error,
        work_order_id=work_order_id,
        severity=severity,
        metadata=metadata or {},
    )


def status() -> Call[Status]:
    """Return the day so far, its limits, and why reserving is impossible if it is: the view `budget.status`."""
    query = f"SELECT {_columns(Status)} FROM budget.status"  # noqa: S608 - every part is written here
    return Call("status", query.encode(), {}, class_row(Status))


def version() -> Call[str]:
    """Return the version of the functions in the database: `budget.version`."""
    return _scalar("version")
