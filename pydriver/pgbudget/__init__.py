"""A spend limit that PostgreSQL itself enforces: reserve the estimated cost, then settle or cancel it.

with Budget("postgresql:///app") as budget:
    if hold := budget.reserve(Decimal("0.25"), "summaries").reservation_id:  # None when refused
        budget.settle(hold, call_the_model())
"""

from pgbudget.budget import Budget
from pgbudget.errors import (
    AmountOutOfRange,
    BadConfiguration,
    BudgetError,
    DatabaseBehind,
    HoldStateError,
    InTransaction,
    InvalidArgument,
    LockTimeout,
    MigrationLocked,
    MissingRollback,
    ReservationMismatch,
    UndeliveredSettlement,
    UnknownReservation,
    WrongIsolationLevel,
)
from pgbudget.results import Outcome, Retry, Routing, Status, Verdict

__all__ = [
    "AmountOutOfRange",
    "BadConfiguration",
    "Budget",
    "BudgetError",
    "DatabaseBehind",
    "HoldStateError",
    "InTransaction",
    "InvalidArgument",
    "LockTimeout",
    "MigrationLocked",
    "MissingRollback",
    "Outcome",
    "ReservationMismatch",
    "Retry",
    "Routing",
    "Status",
    "UndeliveredSettlement",
    "UnknownReservation",
    "Verdict",
    "WrongIsolationLevel",
]
