"""A spend limit that PostgreSQL itself enforces: reserve the estimated cost, then settle or cancel it.

with Budget("postgresql:///app") as budget:
    with budget.hold(Decimal("0.25"), "summaries") as hold:  # Refused if there is no room
        hold.settle(call_the_model())
"""

from pgbudget.batches import Request, Settlement
from pgbudget.budget import AsyncBudget, Budget
from pgbudget.errors import (
    AmountOutOfRange,
    BadConfiguration,
    BudgetError,
    DatabaseBehind,
    HoldStateError,
    InTransaction,
    InvalidArgument,
    LedgerNotKept,
    LockTimeout,
    MigrationLocked,
    MissingRollback,
    Refused,
    ReservationMismatch,
    UndeliveredSettlement,
    UndeliveredSettlements,
    UnknownReservation,
    Unsettled,
    WrongIsolationLevel,
)
from pgbudget.hold import AsyncHold, Hold
from pgbudget.results import Event, Expired, Freeze, History, Limits, Outcome, Retry, Routing, Status, Verdict

__all__ = [
    "AmountOutOfRange",
    "AsyncBudget",
    "AsyncHold",
    "BadConfiguration",
    "Budget",
    "BudgetError",
    "DatabaseBehind",
    "Event",
    "Expired",
    "Freeze",
    "History",
    "Hold",
    "HoldStateError",
    "InTransaction",
    "InvalidArgument",
    "LedgerNotKept",
    "Limits",
    "LockTimeout",
    "MigrationLocked",
    "MissingRollback",
    "Outcome",
    "Refused",
    "Request",
    "ReservationMismatch",
    "Retry",
    "Routing",
    "Settlement",
    "Status",
    "UndeliveredSettlement",
    "UndeliveredSettlements",
    "UnknownReservation",
    "Unsettled",
    "Verdict",
    "WrongIsolationLevel",
]
