"""The functions of schema `budget`, each declared once for both clients: a signature and its documentation.

`function` makes the statement of a declaration. The method has the function's name, its arguments the function's names
without the `p_`. An argument that is left out, or None, is not sent: its default stands in the database alone.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from uuid import UUID, uuid4

from psycopg.rows import BaseRowFactory, class_row, scalar_row

from pgbudget import results
from pgbudget._arguments import SQL_TYPES, Metadata, Money, Tokens, batch_to_json, limits_to_json, money, to_json
from pgbudget.batches import Request, Settlement
from pgbudget.results import Expired, Freeze, History, Limits, Outcome, Retry, Routing, Status, Verdict

if TYPE_CHECKING:
    from pgbudget.budget import AsyncBudget, Budget

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A statement, its arguments by their Python names and as they are sent, and what its row, or each one, becomes."""

    function: str
    query: bytes
    arguments: dict[str, Any]
    parameters: dict[str, Any]
    row_factory: BaseRowFactory[Any]
    is_batch: bool = False
    """It answers with a list."""


class function(Generic[P, T]):  # noqa: N801 - a decorator
    """A declaration as a method: `Budget` answers it, `AsyncBudget` has it awaited."""

    def __init__(self, declared: Callable[Concatenate[Any, P], T]) -> None:
        signature, name = inspect.signature(declared), declared.__name__
        _self, *parameters = signature.parameters.values()
        types = {parameter.name: SQL_TYPES[parameter.annotation.removesuffix(" | None")] for parameter in parameters}
        required = {parameter.name for parameter in parameters if parameter.default is not None}
        made = types.keys() & {"id", "reservation_id"} - required
        is_batch = signature.return_annotation.startswith("list[")
        as_json = batch_to_json if is_batch else limits_to_json if name == "set_limits" else to_json
        columns, row_factory = _answer(signature.return_annotation.removeprefix("list[").removesuffix("]"))

        def method(client: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
            given = signature.bind(client, *args, **kwargs).arguments
            arguments = {n: given[n] for n in types if n in required or given.get(n) is not None}
            arguments = {n: money(value) if types[n] == "numeric" else value for n, value in arguments.items()}
            arguments = {n: uuid4() for n in made} | arguments  # before the first try, so that repeating it is safe
            sent = {n: as_json(value) if types[n].endswith("jsonb") else value for n, value in arguments.items()}
            named = ", ".join(f"p_{n} => %({n})s::{types[n]}" for n in sent)
            source = name if name == "status" else f"{name}({named}) AS result"  # the one view
            query = f"SELECT {columns} FROM budget.{source}"  # noqa: S608 - every part is written here
            return client._invoke(Call(name, query.encode(), arguments, sent, row_factory, is_batch))

        self._method: Any = functools.wraps(declared)(method)

    @overload
    def __get__(self, client: Budget, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncBudget, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    def __get__(self, client: object, owner: type) -> Any:
        return self._method.__get__(client, owner)


def _answer(annotation: str) -> tuple[str, BaseRowFactory[Any]]:
    if annotation in ("Decimal", "UUID", "bool", "str"):
        return "result", scalar_row
    result = getattr(results, annotation)
    names = [field.name for field in fields(result)]
    if result not in (Retry, Routing):
        return ", ".join(names), class_row(result)
    # These are JSON. A key that a later version adds is none of this driver's.
    return "result", lambda _: lambda row: result(**{name: row[0][name] for name in names if name in row[0]})


class Functions:
    """One method for each function. Amounts are in the currency of the limits.

    What every method may raise beside its own errors is in the documentation of the client.
    """

    @function
    def reserve(
        self,
        estimated_cost: Money,
        service_name: str,
        metadata: Metadata | None = None,
        *,
        reservation_id: UUID | None = None,
        ttl: timedelta | None = None,
    ) -> Verdict:
        """Hold the estimated cost under the table lock, or be refused: `budget.reserve`.

        A refusal is a verdict, not an error.

        Args:
            estimated_cost: in the currency of the limits.
            service_name: who spends, 1 to 200 characters.
            metadata: a JSON object, at most 64 KiB; Decimals are kept as text.
            reservation_id: a key of yours, under which nothing is charged twice; without it one is made.
            ttl: how long the hold counts unless settled or cancelled; by default the configured time.

        Raises:
            InvalidArgument, AmountOutOfRange: for an argument; TypeError if an amount is no number.
            WrongIsolationLevel: unless the transaction is READ COMMITTED.
            ReservationMismatch: if the id was used with other arguments.
            BadConfiguration: if the limits are broken.
            LockTimeout: if the decision lock was not free in time.
        """

    @function
    def reserve_advisory(
        self,
        estimated_cost: Money,
        service_name: str,
        metadata: Metadata | None = None,
        *,
        reservation_id: UUID | None = None,
        ttl: timedelta | None = None,
    ) -> Verdict:
        """Hold the estimated cost under an advisory lock, which leaves writers that do not reserve alone.

        `budget.reserve_advisory`; arguments, answer and errors are those of `reserve`, and the two may be mixed.
        """

    @function
    def reserve_many(self, requests: Sequence[Request]) -> list[Verdict]:
        """Reserve for many calls in one short transaction, and far faster than one by one: `budget.reserve_many`.

        Each is granted while the room lasts, in the order given. The database needs the series `budgets`.

        Args:
            requests: at most 10,000.

        Returns:
            A verdict for each request, in their order: those that `reserve` would have given.

        Raises:
            InvalidArgument, AmountOutOfRange: for an argument, with the place of its request in `detail`. With these
                and the errors of `reserve` nothing is reserved.
        """

    @function
    def check(self, estimated_cost: Money, service_name: str, metadata: Metadata | None = None) -> Verdict:
        """Return the verdict that `reserve` would give now; changes nothing, locks nothing: `budget.check`.

        Args:
            estimated_cost: in the currency of the limits.
            service_name: who would spend.
            metadata: as for `reserve`.

        Raises:
            InvalidArgument, AmountOutOfRange: for an argument.
            BadConfiguration: if the limits are broken.
        """

    @function
    def extend(
        self, reservation_id: UUID, new_estimate: Money | None = None, *, ttl: timedelta | None = None
    ) -> Verdict:
        """Set a hold's new total estimate, or its time to live from now, or both, all or nothing: `budget.extend`.

        A refusal leaves the hold as it was.

        Args:
            reservation_id: the hold; one that has lapsed is revived if there is room.
            new_estimate: the new total, not an addition, in the currency of the limits.
            ttl: how long the hold counts from now.

        Raises:
            UnknownReservation: if there is no such hold.
            HoldStateError: if it has ended; and what `reserve` raises.
        """

    @function
    def settle(self, reservation_id: UUID, actual_cost: Money, metadata: Metadata | None = None) -> Outcome:
        """Turn a hold into the actual spend, in full, also above its estimate or after its end: `budget.settle`.

        Args:
            reservation_id: the hold.
            actual_cost: what the call cost, in the currency of the limits.
            metadata: a JSON object, at most 64 KiB, kept beside the original metadata.

        Raises:
            InvalidArgument, AmountOutOfRange: for an argument.
            UnknownReservation: if there is no such hold.
            HoldStateError: if it was settled before with another amount.
            UndeliveredSettlement: if the database could not be reached, or the hold stayed locked.
        """

    @function
    def settle_many(self, settlements: Sequence[Settlement]) -> list[Outcome]:
        """Settle many holds in one short transaction, all or none: `budget.settle_many`.

        The database needs the series `budgets`.

        Args:
            settlements: at most 10,000.

        Returns:
            An outcome for each settlement, in their order.

        Raises:
            InvalidArgument, AmountOutOfRange, UnknownReservation, HoldStateError: as for `settle`, with the place of
                the settlement in `detail`.
            UndeliveredSettlements: if the database could not be reached, or a hold stayed locked.
        """

    @function
    def cancel(self, reservation_id: UUID, reason: str | None = None) -> Outcome:
        """Give a hold's money back because the call failed and cost nothing: `budget.cancel`.

        Args:
            reservation_id: the hold.
            reason: why, kept in its row.

        Raises:
            UnknownReservation: if there is no such hold.
            HoldStateError: if it was settled before.
            UndeliveredSettlement: as for `settle`.
        """

    @function
    def record(
        self,
        actual_cost: Money,
        service_name: str,
        metadata: Metadata | None = None,
        *,
        id: UUID | None = None,  # noqa: A002 - the SQL function's name
    ) -> Outcome:
        """Book spend that had no hold; never refused, because the money is gone: `budget.record`.

        Args:
            actual_cost: what was spent, in the currency of the limits.
            service_name: who spent it, 1 to 200 characters.
            metadata: a JSON object, at most 64 KiB; Decimals are kept as text.
            id: a key of yours, under which nothing is booked twice; without it one is made.

        Raises:
            InvalidArgument, AmountOutOfRange: for an argument.
            ReservationMismatch: if the id stands for something else.
            UndeliveredSettlement: as for `settle`.
        """

    @function
    def expire(self, limit: int | None = None) -> Expired:
        """Mark at most so many lapsed holds as expired, by default 1000; bookkeeping for cron: `budget.expire`.

        Raises:
            InvalidArgument: for a limit below 1.
            BadConfiguration: if the limits are broken.
        """

    @function
    def estimate(self, complexity_score: Money, hard_stop_required: bool) -> Decimal:
        """Return what routing a task may cost, by the tiers: `budget.estimate`. Errors: InvalidArgument.

        Args:
            complexity_score: finite, usually from 0 to 1.
            hard_stop_required: as `detect_hard_stop` says; the highest tier whatever the score.
        """

    @function
    def estimate_tokens(self, proposer: str, input_tokens: Tokens, max_output_tokens: Tokens) -> Decimal:
        """Return the most that a call can cost, from the proposer's prices: `budget.estimate_tokens`.

        Args:
            proposer: a name in `proposer_configs`, active or not.
            input_tokens: of the prompt.
            max_output_tokens: the ceiling that the call is given.

        Raises:
            InvalidArgument: for a count below 0, or an unknown proposer, which is never taken for free.
            BadConfiguration: if a price is missing or no amount.
            AmountOutOfRange: if the estimate is too large to be one.
        """

    @function
    def estimate_from_history(
        self, service_name: str, quantile: Money | None = None, since: timedelta | None = None
    ) -> History:
        """Return what a service's settled holds have cost: `budget.estimate_from_history`. Errors: InvalidArgument.

        Args:
            service_name: the service.
            quantile: 0 to 1, by default 0.9: nine calls of ten cost no more than the estimate.
            since: how far back, by default 30 days.
        """

    @function
    def limits(self) -> Limits:
        """Return the limits in force: `budget.limits`. Errors: BadConfiguration."""

    @function
    def set_limits(self, limits: Metadata) -> Limits:
        """Replace the given keys of the limits and return what is in force then: `budget.set_limits`. Admins only.

        Args:
            limits: any of the fields of `Limits`; `reservation_ttl` as text ("1 hour").

        Raises:
            BadConfiguration: if the whole would be broken; nothing is changed then.
        """

    @function
    def freeze(self, reason: str) -> Freeze:
        """Refuse every reserve and extend from now on; the first reason stands: `budget.freeze`. Admins only.

        Args:
            reason: whoever is refused will read it.

        Raises:
            InvalidArgument: without a reason.
        """

    @function
    def unfreeze(self) -> Freeze:
        """End a freeze; without one nothing changes: `budget.unfreeze`. Admins only."""

    @function
    def detect_hard_stop(self, task_description: str) -> bool:
        """Say whether the text touches security or architecture, by its words: `budget.detect_hard_stop`."""

    @function
    def route_work_order(
        self,
        work_order_id: UUID,
        task_description: str,
        context_requirements: object,
        complexity_score: Money,
        approved_by_director: bool,
    ) -> Routing:
        """Reserve for a work order, choose its proposer and store that, all or nothing: `budget.route_work_order`.

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

    @function
    def retry_strategy(self, current_proposer: str, attempt: int, failure_reason: str | None) -> Retry:
        """Say what to do after a failed attempt, the first being number 1: `budget.retry_strategy`.

        Args:
            current_proposer: who made the attempt.
            attempt: its number.
            failure_reason: why it failed; kept in the answer.

        Raises:
            InvalidArgument: if the proposer is unknown or the attempt below 1.
        """

    @function
    def escalate(
        self,
        component: str,
        operation: str,
        error: str,
        *,
        work_order_id: UUID | None = None,
        severity: str | None = None,
        metadata: Metadata | None = None,
    ) -> UUID:
        """Ask a human to look, and return the escalation's id: `budget.escalate`.

        Where the answer is lost with the connection it may be written twice: rather told twice than never.

        Args:
            component: where it happened.
            operation: what was being done.
            error: what went wrong.
            work_order_id: the work order that it concerns, if any.
            severity: by default `critical`.
            metadata: a JSON object; its keys are kept beside the others.

        Raises:
            InvalidArgument: if component, operation, error or severity is empty, or metadata is no JSON object.
        """

    @function
    def status(self) -> Status:
        """Return the day so far, its limits, and why reserving is impossible if it is: the view `budget.status`."""

    @function
    def version(self) -> str:
        """Return the version of the functions in the database: `budget.version`."""
