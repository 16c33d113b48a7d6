"""What the functions answer, column by column: the field names are the SQL column lists. And what `on_event` hears."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Verdict:
    """May this be spent? True in a condition when it may, so that `if budget.reserve(...)` says what it means."""

    can_proceed: bool
    current_total: Decimal
    """Settled spend and open holds of the window, before this call."""
    reservation_id: UUID | None
    """The hold to settle or cancel; None when refused."""
    reason: str
    """`granted`, `replayed`, `in_flight`, `exhausted`, `too_large`, `frozen` or `ended`."""
    budget: str
    """The budget that decided."""
    limit_amount: Decimal | None
    remaining: Decimal | None
    """Headroom; negative after exempt or late spend."""
    resets_at: datetime | None
    retry_at: datetime | None
    """When trying again may help; None when it will not by itself."""
    expires_at: datetime | None
    """When the hold lapses if it is neither settled nor cancelled."""

    def __bool__(self) -> bool:
        return self.can_proceed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the ledger says of a reservation after settle, cancel or record."""

    reservation_id: UUID
    status: str
    """`actual` or `cancelled`."""
    estimated_cost: Decimal | None
    actual_cost: Decimal | None
    over_limit: bool | None
    """This spend left the day above its limit; None while the limits are broken."""
    late: bool
    """The hold had ended or lapsed before."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Was the work order routed, and to whom? True in a condition when it was."""

    success: bool
    error: str | None = None
    """Why it was not routed."""
    routing_decision: dict[str, Any] | None = None
    """As it is stored in the order's `metadata.manager_routing`; money in it is text."""

    def __bool__(self) -> bool:
        return self.success

    @property
    def reservation_id(self) -> UUID | None:
        """The hold to settle or cancel; None when not routed."""
        decision = self.routing_decision
        return UUID(decision["routing_metadata"]["budget_reservation_id"]) if decision else None


@dataclass(frozen=True, slots=True)
class Retry:
    """What to do after a failed attempt."""

    should_retry: bool
    action: str
    """`retry_same`, `retry_stronger` or `escalate`."""
    proposer: str | None
    """Who makes the next attempt; None when a human is to look."""
    attempt: int
    """The number of the next attempt."""
    max_attempts: int
    failure_reason: str | None


@dataclass(frozen=True, slots=True)
class Expired:
    """What one call of `expire` has marked."""

    expired: int
    """Holds; call again until it is 0."""
    released: Decimal
    """The money that they gave back; 0 where `on_expiry` is `keep`."""


@dataclass(frozen=True, slots=True)
class History:
    """What the calls of a service have cost."""

    estimate: Decimal | None
    """None without samples."""
    samples: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force; None for a cap that is absent."""

    daily_soft_cap: Decimal | None
    daily_hard_cap: Decimal | None
    emergency_kill: Decimal
    """The limit."""
    timezone: str
    reservation_ttl: timedelta
    on_expiry: str
    """What lapsing does to a hold's money: `release` or `keep`."""
    exempt_services: list[str]


@dataclass(frozen=True, slots=True)
class Freeze:
    """The kill switch."""

    frozen: bool
    reason: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """The day so far: the one row of the view `budget.status`."""

    day: date
    timezone: str
    daily_soft_cap: Decimal | None
    daily_hard_cap: Decimal | None
    emergency_kill: Decimal | None
    """The limit."""
    settled: Decimal
    held: Decimal
    remaining: Decimal | None
    share_used: Decimal | None
    """Settled and held as a share of the limit, 1 being all of it; None without a limit."""
    open_holds: int
    oldest_hold: datetime | None
    frozen: bool
    frozen_reason: str | None
    resets_at: datetime
    unknown_keys: list[str]
    """Keys of the configuration that nothing reads: perhaps misspelt."""
    config_error: str | None
    """Why every reserve is refused with `BadConfiguration`; None when the configuration is good."""


@dataclass(frozen=True, slots=True)
class Event:
    """One attempt at a call, as `on_event` is told of it."""

    function: str
    seconds: float
    attempt: int
    """From 1; the later ones repeat what failed in a way that is safe to repeat."""
    result: object = None
    """What the method returns."""
    error: BaseException | None = None
    """What the method raises, or would raise if it were not repeated; None after a success."""
