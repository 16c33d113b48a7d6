"""What the functions answer, the view of the day, and an escalation: columns in their order."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID


class Verdict(NamedTuple):
    can_proceed: bool
    current_total: Decimal
    reservation_id: UUID | None
    reason: str
    budget: str
    limit_amount: Decimal
    remaining: Decimal
    resets_at: datetime
    retry_at: datetime | None
    expires_at: datetime | None


class Outcome(NamedTuple):
    reservation_id: UUID
    status: str
    estimated_cost: Decimal | None
    actual_cost: Decimal
    over_limit: bool | None
    late: bool


class LimitsRow(NamedTuple):
    daily_soft_cap: Decimal | None
    daily_hard_cap: Decimal | None
    emergency_kill: Decimal
    timezone: str
    reservation_ttl: timedelta
    on_expiry: str
    exempt_services: list[str]


class FreezeRow(NamedTuple):
    frozen: bool
    reason: str | None
    since: datetime | None


class Escalation(NamedTuple):
    kind: str
    severity: str
    status: str
    day: date | None
    subject: str | None
    total: Decimal | None
    change: Any
    created_at: datetime


class StatusRow(NamedTuple):
    day: date
    timezone: str
    daily_soft_cap: Decimal | None
    daily_hard_cap: Decimal | None
    emergency_kill: Decimal | None
    settled: Decimal
    held: Decimal
    remaining: Decimal | None
    share_used: Decimal | None
    open_holds: int
    oldest_hold: datetime | None
    frozen: bool
    frozen_reason: str | None
    resets_at: datetime
    unknown_keys: list[str] | None
    is_broken: bool
