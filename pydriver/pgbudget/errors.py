"""Exceptions: one class per SQLSTATE that the functions raise, and a few of the driver's own."""

# ruff: noqa: N818 - each name says what happened, as psycopg.errors does

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import psycopg


class BudgetError(Exception):
    """Base of every error of this package. A refusal is not an error: it is a `Verdict` that says no.

    Attributes: `sqlstate` (None when the driver itself raised it), `message`, `detail`, `hint`. An error that came
    from the database has the psycopg error as its `__cause__`.
    """

    sqlstate: ClassVar[str | None] = None

    def __init__(self, message: str, *, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *(f"{k}: {v}" for k, v in (("DETAIL", detail), ("HINT", hint)) if v)]))
        self.message, self.detail, self.hint = message, detail, hint


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


class UndeliveredSettlement(BudgetError):
    """A settle, cancel or record that did not get through: the money is spent (or free) and the ledger may not know.

    `function` and `arguments` (keyword arguments, money as Decimal) are all that is needed to deliver it later:
    `getattr(budget, error.function)(**error.arguments)`. Delivering it twice is harmless.
    """

    def __init__(self, function: str, arguments: Mapping[str, Any], cause: psycopg.Error) -> None:
        super().__init__(
            f"{function} could not be delivered: {cause}",
            detail=", ".join(f"{name}={value}" for name, value in arguments.items()),
            hint="Keep function and arguments of this error and call again; delivering it twice is harmless.",
        )
        self.function, self.arguments = function, dict(arguments)


_BY_SQLSTATE = {error.sqlstate: error for error in BudgetError.__subclasses__() if error.sqlstate}


def translated(error: psycopg.Error) -> BudgetError | None:
    """The exception for a psycopg error whose SQLSTATE is one of ours, else None."""
    kind = _BY_SQLSTATE.get(error.sqlstate or "")
    if kind is None:
        return None
    diag = error.diag
    return kind(diag.message_primary or str(error), detail=diag.message_detail, hint=diag.message_hint)
