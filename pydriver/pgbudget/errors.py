"""Exceptions: one class per SQLSTATE that the functions raise, and a few of the driver's own."""

# ruff: noqa: N818 - each name says what happened, as psycopg.errors does

from __future__ import annotations

import copyreg
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, overload
from uuid import UUID

import psycopg

from pgbudget.results import Outcome, Verdict

if TYPE_CHECKING:
    from pgbudget.budget import AsyncBudget, Budget

POSTING = ("settle", "settle_many", "cancel", "record")
"""They report what has happened already: one that is not delivered must not get lost."""


class BudgetError(Exception):
    """Base of every error of this package. A refusal is not an error: it is a `Verdict` that says no.

    Attributes: `sqlstate` (None when the driver itself raised it), `message`, `detail`, `hint`. An error that came
    from the database has the psycopg error as its `__cause__`.
    """

    sqlstate: ClassVar[str | None] = None

    def __init__(self, message: str, *, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *(f"{k}: {v}" for k, v in (("DETAIL", detail), ("HINT", hint)) if v)]))
        self.message, self.detail, self.hint = message, detail, hint

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are otherwise unpickled by calling the class with the text alone.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InvalidArgument(BudgetError):
    """22023: an argument is missing, empty, too long or not of the required form."""

    sqlstate = "22023"


class AmountOutOfRange(BudgetError):
    """22003: an amount is NaN, infinite, negative or 1e15 and more."""

    sqlstate = "22003"


class WrongIsolationLevel(BudgetError):
    """PB001: a deciding function was called in a transaction that is not READ COMMITTED."""

    sqlstate = "PB001"


class UnknownReservation(BudgetError):
    """PB002: no ledger row has this id, or it has been deleted."""

    sqlstate = "PB002"


class ReservationMismatch(BudgetError):
    """PB003: this id was used before with other arguments; both are in `detail`."""

    sqlstate = "PB003"


class HoldStateError(BudgetError):
    """PB004: the hold's state forbids the call; for a second settle `detail` shows both amounts."""

    sqlstate = "PB004"


class BadConfiguration(BudgetError):
    """PB005: the limits, or a proposer's prices, are missing or broken; every call that needs them is refused."""

    sqlstate = "PB005"


class LedgerNotKept(BudgetError):
    """PB006: a trigger of the application swallowed or changed the row. Nothing was changed; `detail` names it."""

    sqlstate = "PB006"


class LockTimeout(BudgetError):
    """55P03: a lock was not free in time. Nothing was changed; calling again is safe."""

    sqlstate = "55P03"


class DatabaseBehind(BudgetError):
    """The database has no pgbudget, or an older one than this driver speaks to. `pgbudget migrate` helps."""


class InTransaction(BudgetError):
    """The connection is inside a transaction, which would hold the decision lock until it ends."""


class MigrationLocked(BudgetError):
    """Another migration run kept the lock for longer than the wait that was allowed. Nothing was changed."""


class MissingRollback(BudgetError):
    """A migration to be rolled back has no rollback file. Nothing was changed."""


class Refused(BudgetError):
    """A `hold` block was not entered, because there is no room; `verdict` says why, and when to try again."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(
            f"the reservation was refused by budget {verdict.budget}: {verdict.reason}",
            detail=f"The total is {verdict.current_total}, the limit {verdict.limit_amount}.",
            hint=f"Try again at {verdict.retry_at}." if verdict.retry_at else None,
        )
        self.verdict = verdict


class Unsettled(BudgetError):
    """A `hold` block ended without settling. Its hold counts until it lapses: what it stood for may have been spent."""

    def __init__(self, reservation_id: UUID) -> None:
        super().__init__(
            f"the block ended without settling hold {reservation_id}, which counts until it lapses",
            hint="End the block with hold.settle(actual), or with hold.cancel() if nothing was spent.",
        )
        self.reservation_id = reservation_id


class UndeliveredSettlement(BudgetError):
    """A settle, cancel or record that did not get through: the money is spent (or free) and the ledger may not know.

    `function` and `arguments` (keyword arguments, money as Decimal) are all that is needed to deliver it later, by
    `deliver` or by another process: the error can be pickled. Delivering it twice is harmless.
    """

    def __init__(self, function: str, arguments: Mapping[str, Any], cause: psycopg.Error) -> None:
        super().__init__(
            f"{function} could not be delivered: {cause}",
            detail=", ".join(f"{name}={value}" for name, value in arguments.items()),
            hint="Keep this error and call its deliver(budget) later; delivering it twice is harmless.",
        )
        self.function, self.arguments = function, dict(arguments)

    @overload
    def deliver(self, budget: Budget) -> Outcome: ...
    @overload
    def deliver(self, budget: AsyncBudget) -> Coroutine[Any, Any, Outcome]: ...
    def deliver(self, budget: Budget | AsyncBudget) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Make the call again, with any client that reaches the same database; `AsyncBudget` has it awaited."""
        outcome: Outcome | Coroutine[Any, Any, Outcome] = getattr(budget, self.function)(**self.arguments)
        return outcome


class UndeliveredSettlements(UndeliveredSettlement):
    """A `settle_many` that did not get through; `deliver` answers with its outcomes."""

    if TYPE_CHECKING:  # the method is the same

        @overload  # type: ignore[override]
        def deliver(self, budget: Budget) -> list[Outcome]: ...
        @overload
        def deliver(self, budget: AsyncBudget) -> Coroutine[Any, Any, list[Outcome]]: ...
        def deliver(self, budget: Any) -> Any:
            """Make the call again, as for one settlement."""


# The server could not, whatever was asked. To psycopg a server that is read-only, as a standby is, and a transaction
# that has failed before are InternalErrors.
_UNDELIVERED = (psycopg.OperationalError, psycopg.InternalError)

_OF_BUDGETS = ("reserve_many", "settle_many", "set_budget", "drop_budget")
"""What the series `budgets` adds."""

_BY_SQLSTATE = {error.sqlstate: error for error in BudgetError.__subclasses__() if error.sqlstate}


def translated(error: BaseException, function: str, arguments: Mapping[str, Any]) -> BaseException:
    """Return the exception to raise for an error of this call: one of ours, with that as its cause, or itself."""
    if not isinstance(error, psycopg.Error):
        return error
    kind, diag = _BY_SQLSTATE.get(error.sqlstate or ""), error.diag
    ours: BudgetError
    if function in POSTING and isinstance(error, _UNDELIVERED):
        undelivered = UndeliveredSettlements if function == "settle_many" else UndeliveredSettlement
        ours = undelivered(function, arguments, error)
    elif isinstance(error, psycopg.errors.UndefinedFunction) and f"budget.{function}(" in (diag.message_primary or ""):
        hint = "pgbudget migrate --series budgets" if function in _OF_BUDGETS else "pgbudget migrate"
        ours = DatabaseBehind(f"the database has no function budget.{function} as this driver calls it", hint=hint)
    elif kind:
        ours = kind(diag.message_primary or "", detail=diag.message_detail, hint=diag.message_hint)
    else:
        return error
    ours.__cause__ = error
    return ours
