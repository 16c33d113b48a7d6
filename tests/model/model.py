"""The whole product as a plain Python object: what the database must answer, write and keep.

It shares no code and no arithmetic with the SQL. A method has the name and the arguments of the SQL function that it
stands for, returns its columns in their order, and raises `SqlError` where that raises an error. Arguments that are
wrong in every state are not its concern. Amounts are `Decimal`, instants are in UTC, and the clock is `Budget.now`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from tests.model.answers import Escalation, FreezeRow, LimitsRow, Outcome, StatusRow, Verdict
from tests.model.days import Window, window
from tests.model.limits import TOO_MUCH, Limits, read_limits

ZERO = Decimal(0)
SMALLEST = Decimal("1e-12")

Metadata = dict[str, Any]

MOVES = {
    "reservation": ("reservation", "actual", "cancelled", "expired"),
    "cancelled": ("cancelled", "actual"),
    "expired": ("expired", "actual", "cancelled"),
    "actual": ("actual",),
}
# What a hold's row never loses, and no writer may set...
FIXED = {
    "original_metadata",
    "requested_cost",
    "estimated_cost",
    "reserved_at",
    "extended_at",
    "settled_at",
    "cancelled_at",
    "expired_at",
    "late",
}
# ... and what it keeps until a writer sets it anew.
KEPT = FIXED | {"cancel_reason", "over_limit"}


class SqlError(Exception):
    """The call ends with this SQLSTATE and changes nothing."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@dataclass
class Row:
    """One row of the ledger."""

    id: UUID
    service_name: str
    cost: Decimal
    metadata: Metadata | None
    created_at: datetime
    expires_at: datetime | None = None
    was_hold: bool = False

    @property
    def state(self) -> str | None:
        return (self.metadata or {}).get("type")

    def get(self, key: str, default: Any = None) -> Any:
        return (self.metadata or {}).get(key, default)

    def is_open(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at > now

    def has_lapsed(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def money(amount: Decimal) -> Decimal:
    """An amount as it is stored: at most 12 decimals, rounded up."""
    stored = amount.quantize(SMALLEST, ROUND_CEILING)
    if stored >= TOO_MUCH:
        raise SqlError("22003")
    return stored


def legal(cost: Decimal) -> None:
    """What the table itself takes as a cost."""
    if not cost.is_finite() or not 0 <= cost < TOO_MUCH:
        raise SqlError("23514")


@dataclass
class Budget:
    """The ledger, the configuration, the kill switch, the escalations and the clock."""

    now: datetime
    config: Any = None
    limits_in_force: Limits = field(default_factory=Limits)
    user: str = "postgres"
    rows: dict[UUID, Row] = field(default_factory=dict)
    freezing: Metadata | None = None
    escalations: list[Escalation] = field(default_factory=list)

    def configure(self, config: Any) -> None:
        """The configuration becomes this, valid or not."""
        self.config, self.limits_in_force = config, read_limits(config)

    # What the day holds

    def required_limits(self) -> Limits:
        limits = self.limits_in_force
        if limits.is_broken:
            raise SqlError("PB005")
        return limits

    def day_of(self, at: datetime) -> Window:
        return window(at, self.limits_in_force.zone)

    def rows_of_day(self, at: datetime) -> list[Row]:
        day = self.day_of(at)
        return [row for row in self.rows.values() if day.starts_at <= row.created_at < day.ends_at]

    def counted(self, row: Row | None) -> Decimal:
        """What a row counts now: a hold that has lapsed counts nothing, unless lapsing books it as spent."""
        if row is None or (row.has_lapsed(self.now) and not self.limits_in_force.keeps):
            return ZERO
        return row.cost

    def total(self, at: datetime) -> Decimal:
        """Settled and held of the day to which an instant belongs."""
        return sum((self.counted(row) for row in self.rows_of_day(at)), ZERO)

    # Decisions

    def _verdict(self, amount: Decimal, service_name: str, hold: Row | None = None) -> Verdict:
        """May this amount be held, for a new hold or in place of what `hold` counts already?"""
        limits = self.required_limits()
        kill = limits.kill
        assert kill is not None
        at = hold.created_at if hold else self.now
        total, counted, resets_at = self.total(at), self.counted(hold), self.day_of(at).ends_at
        others = [row for row in self.rows_of_day(at) if row.is_open(self.now) and row is not hold]

        def fits_without(freed: Iterable[Row]) -> bool:
            return total - counted + amount - sum((row.cost for row in freed), ZERO) <= kill

        def enough_have_lapsed_at() -> datetime:
            if not limits.keeps:
                for lapse in sorted(row.expires_at for row in others if row.expires_at):
                    if fits_without(row for row in others if row.expires_at and row.expires_at <= lapse):
                        return min(lapse, resets_at)
            return resets_at

        retry_at = None
        if self.freezing is not None:
            reason = "frozen"
        elif service_name in limits.exempt or fits_without([]) or (hold and amount <= counted):
            reason = "granted"
        elif amount > kill:
            reason = "too_large"
        elif fits_without(others):
            reason, retry_at = "in_flight", enough_have_lapsed_at()
        else:
            reason, retry_at = "exhausted", resets_at
        return Verdict(
            can_proceed=reason == "granted",
            current_total=total,
            reservation_id=None,
            reason=reason,
            budget="daily",
            limit_amount=kill,
            remaining=kill - total,
            resets_at=resets_at,
            # A hold's own window may have ended, and has no more room to come.
            retry_at=retry_at if retry_at and retry_at > self.now else None,
            expires_at=None,
        )

    def check(self, estimate: Decimal, service_name: str) -> Verdict:
        return self._verdict(money(estimate), service_name)

    def reserve(
        self,
        estimate: Decimal,
        service_name: str,
        metadata: Metadata | None,
        *,
        reservation_id: UUID | None = None,
        ttl: timedelta | None = None,
        new_id: UUID,
    ) -> Verdict:
        """`new_id` is the id that the database made for a hold without one."""
        amount, original = money(estimate), metadata or {}
        limits = self.required_limits()
        if reservation_id in self.rows:
            return self._replay(self.rows[reservation_id], amount, service_name, original)

        verdict = self._verdict(amount, service_name)
        if not verdict.can_proceed:
            self._escalate_refusal(service_name, self.now)
            return verdict
        hold = Row(
            id=reservation_id or new_id,
            service_name=service_name,
            cost=amount,
            metadata={
                "type": "reservation",
                "original_metadata": original,
                "requested_cost": amount,
                "estimated_cost": amount,
                "reserved_at": self.now,
            },
            created_at=self.now,
            expires_at=self.now + (ttl or limits.ttl),
            was_hold=True,
        )
        self.rows[hold.id] = hold
        self._escalate_caps(self.now)
        return verdict._replace(reservation_id=hold.id, expires_at=hold.expires_at)

    def _replay(self, row: Row, amount: Decimal, service_name: str, original: Metadata) -> Verdict:
        """The id is in the ledger: the arguments must be those it was first sent with. Before any freeze."""
        first = row.get("requested_cost"), row.service_name, row.get("original_metadata")
        if first != (amount, service_name, original):
            raise SqlError("PB003")
        verdict = self._verdict(ZERO, service_name, row)._replace(can_proceed=False, reason="ended", retry_at=None)
        if row.is_open(self.now):
            return verdict._replace(
                can_proceed=True, reason="replayed", reservation_id=row.id, expires_at=row.expires_at
            )
        return verdict

    def extend(self, reservation_id: UUID, new_estimate: Decimal | None, ttl: timedelta | None) -> Verdict:
        new = None if new_estimate is None else money(new_estimate)
        row = self._reservation(reservation_id)
        limits = self.required_limits()
        if row.expires_at is None:
            raise SqlError("PB004")

        amount = row.cost if new is None else new
        verdict = self._verdict(amount, row.service_name, row)
        if not verdict.can_proceed:
            self._escalate_refusal(row.service_name, row.created_at)
            return verdict
        expires_at = row.expires_at
        if ttl is not None or row.has_lapsed(self.now):
            expires_at = self.now + (ttl or limits.ttl)
        if (amount, expires_at) != (row.cost, row.expires_at):
            self._change_hold(row, amount, {**(row.metadata or {}), "type": "reservation"}, expires_at)
        self._escalate_caps(row.created_at)
        return verdict._replace(reservation_id=row.id, expires_at=expires_at)

    # Spend

    def _reservation(self, reservation_id: UUID) -> Row:
        row = self.rows.get(reservation_id)
        if row is None or not row.was_hold:
            raise SqlError("PB002")
        return row

    def _outcome(self, row: Row) -> Outcome:
        assert row.metadata is not None
        assert row.state is not None
        return Outcome(
            reservation_id=row.id,
            status=row.state,
            estimated_cost=row.get("estimated_cost"),
            actual_cost=row.cost,
            over_limit=row.metadata.get("over_limit", False),
            late=row.metadata.get("late", False),
        )

    def settle(self, reservation_id: UUID, actual_cost: Decimal, metadata: Metadata | None) -> Outcome:
        actual = money(actual_cost)
        row = self._reservation(reservation_id)
        if row.state == "actual":
            if row.cost != actual:
                raise SqlError("PB004")
            return self._outcome(row)
        is_more = actual > self.counted(row)
        self._change_hold(row, actual, {**(row.metadata or {}), **(metadata or {}), "type": "actual"})
        self._book(row, is_more)
        return self._outcome(row)

    def record(
        self, actual_cost: Decimal, service_name: str, metadata: Metadata | None, row_id: UUID | None, new_id: UUID
    ) -> Outcome:
        actual, original = money(actual_cost), metadata or {}
        if row_id in self.rows:
            row = self.rows[row_id]
            first = row.cost, row.service_name, row.get("original_metadata")
            if row.get("recorded_at") is None or first != (actual, service_name, original):
                raise SqlError("PB003")
            return self._outcome(row)
        row = Row(
            id=row_id or new_id,
            service_name=service_name,
            cost=actual,
            metadata={"type": "actual", "original_metadata": original, "recorded_at": self.now},
            created_at=self.now,
        )
        self.rows[row.id] = row
        self._book(row, is_more=actual > 0)
        return self._outcome(row)

    def _book(self, row: Row, is_more: bool) -> None:
        """The money is spent. The day is looked at only if the spend is more than it counted before."""
        assert row.metadata is not None
        limits = self.limits_in_force
        if limits.kill is None:
            row.metadata["over_limit"] = None
            return
        total = self.total(row.created_at)
        row.metadata["over_limit"] = is_more and total > limits.kill
        if is_more:
            self._escalate_caps(row.created_at)
        if row.metadata["over_limit"]:
            self._escalate("budget_overrun", row.created_at, str(row.id), "critical")

    def cancel(self, reservation_id: UUID, reason: str | None) -> Outcome:
        row = self._reservation(reservation_id)
        if row.state == "actual":
            raise SqlError("PB004")
        if row.state != "cancelled":
            why = {} if reason is None else {"cancel_reason": reason}
            self._change_hold(row, ZERO, {**(row.metadata or {}), **why, "type": "cancelled"})
        return self._outcome(row)

    def lapsed(self) -> list[Row]:
        """The holds that `expire` has to mark."""
        return [row for row in self.rows.values() if row.has_lapsed(self.now)]

    def expire(self, limit: int, chosen: Iterable[UUID]) -> tuple[int, Decimal]:
        """`chosen` are the holds that the database marked: which of many come first is left to it."""
        self.required_limits()
        marked = [self.rows[reservation_id] for reservation_id in chosen]
        assert all(row in self.lapsed() for row in marked), "a hold was marked that has not lapsed"
        assert len(marked) == min(limit, len(self.lapsed())), "lapsed holds were left unmarked"
        before = sum((row.cost for row in marked), ZERO)
        for row in marked:
            cost = row.cost if self.limits_in_force.keeps else ZERO
            self._change_hold(row, cost, {**(row.metadata or {}), "type": "expired"})
        return len(marked), before - sum((row.cost for row in marked), ZERO)

    # A hold's life

    def _change_hold(self, row: Row, cost: Decimal, metadata: Metadata, expires_at: datetime | None = None) -> None:
        """Change a hold's row, whoever does it: the state machine, and the books that it keeps."""
        old, new = str(row.state), metadata.get("type")
        if new not in MOVES[old]:
            raise SqlError("PB004")
        if new == old != "reservation" and cost != row.cost:
            raise SqlError("PB004")
        if new == "cancelled" and cost != 0:
            raise SqlError("PB004")
        legal(cost)

        kept = {key: value for key, value in (row.metadata or {}).items() if key in KEPT}
        step: Metadata = {}
        if new == "reservation":
            expires_at = expires_at or row.expires_at
            step["estimated_cost"] = cost
            if (cost, expires_at) != (row.cost, row.expires_at):
                step["extended_at"] = self.now
        elif new != old:
            step[{"actual": "settled_at"}.get(str(new), f"{new}_at")] = self.now
            if new != "expired" and (old != "reservation" or row.has_lapsed(self.now)):
                step["late"] = True
        own = {key: value for key, value in metadata.items() if key not in FIXED}
        row.metadata = {**kept, **own, **step}
        row.cost = cost
        row.expires_at = expires_at if new == "reservation" else None

    # The application's own way

    def insert(
        self, cost: Decimal, service_name: str, metadata: Metadata | None, created_at: datetime, row_id: UUID
    ) -> UUID:
        """INSERT into the ledger. A hold that comes without an expiry is given one."""
        legal(cost)
        if row_id in self.rows:
            raise SqlError("23505")
        row = Row(row_id, service_name, cost, metadata, created_at)
        if metadata and metadata.get("type") == "reservation":
            own = {key: value for key, value in metadata.items() if key not in FIXED - {"original_metadata"}}
            row.metadata = {**own, "reserved_at": row.created_at, "estimated_cost": cost}
            row.expires_at = row.created_at + self.limits_in_force.ttl
            row.was_hold = True
        self.rows[row.id] = row
        return row.id

    def update(self, row_id: UUID, cost: Decimal, metadata: Metadata | None) -> int:
        """UPDATE of a row's cost and metadata; the number of rows."""
        row = self.rows.get(row_id)
        if row is None:
            return 0
        if row.was_hold:
            self._change_hold(row, cost, metadata or {})
            return 1
        if (metadata or {}).get("type") == "reservation":
            raise SqlError("PB004")
        legal(cost)
        row.cost, row.metadata = cost, metadata
        return 1

    def delete(self, row_id: UUID) -> int:
        return 0 if self.rows.pop(row_id, None) is None else 1

    # Escalations

    def _escalate(self, kind: str, at: datetime, subject: str, severity: str) -> None:
        """Once per kind, day and subject."""
        day = self.day_of(at).day
        if not any((one.kind, one.day, one.subject) == (kind, day, subject) for one in self.escalations):
            self.escalations.append(Escalation(kind, severity, "pending", day, subject, self.total(at), None, self.now))

    def _escalate_caps(self, at: datetime) -> None:
        limits, total = self.limits_in_force, self.total(at)
        for kind, cap, severity in (
            ("budget_daily_soft_cap", limits.soft, "warning"),
            ("budget_daily_hard_cap", limits.hard, "high"),
            ("budget_emergency_kill", limits.kill, "critical"),
        ):
            if cap is not None and total >= cap:
                self._escalate(kind, at, "daily", severity)

    def _escalate_refusal(self, service_name: str, at: datetime) -> None:
        self._escalate_caps(at)
        self._escalate("budget_refused", at, service_name, "critical")

    def _note_change(self, kind: str, old: Any, new: Any) -> None:
        change = {"old": old, "new": new, "changed_by": self.user}
        self.escalations.append(Escalation(kind, "info", "resolved", None, None, None, change, self.now))

    # Limits and the kill switch

    def limits(self) -> LimitsRow:
        limits = self.required_limits()
        assert limits.kill is not None
        return LimitsRow(
            limits.soft,
            limits.hard,
            limits.kill,
            limits.zone,
            limits.ttl,
            "keep" if limits.keeps else "release",
            list(limits.exempt),
        )

    def set_limits(self, given: Metadata) -> LimitsRow:
        old = self.config
        new = {**({} if self.limits_in_force.is_broken else old), **given}
        if read_limits(new).is_broken:
            raise SqlError("PB005")
        self.configure(new)
        self._note_change("budget_limits_changed", old, new)
        return self.limits()

    def freeze(self, reason: str) -> FreezeRow:
        if self.freezing is None:
            self.freezing = {"reason": reason, "by": self.user, "since": self.now}
            self._note_change("budget_frozen", None, self.freezing)
        return self._freeze_row()

    def unfreeze(self) -> FreezeRow:
        if self.freezing is not None:
            self._note_change("budget_unfrozen", self.freezing, None)
            self.freezing = None
        return self._freeze_row()

    def _freeze_row(self) -> FreezeRow:
        if self.freezing is None:
            return FreezeRow(False, None, None)
        return FreezeRow(True, self.freezing["reason"], self.freezing["since"])

    # Estimates

    def estimate(self, complexity_score: Decimal, hard_stop_required: bool) -> Decimal:
        if hard_stop_required or complexity_score >= 1:
            return Decimal("2.50")
        return Decimal("0.10") if complexity_score < Decimal("0.3") else Decimal("1.00")

    def estimate_tokens(self, profile: Mapping[str, Any] | None, input_tokens: int, max_output_tokens: int) -> Decimal:
        """`profile` is the proposer's cost profile, None where there is no such proposer."""
        if profile is None:
            raise SqlError("22023")
        cost = ZERO
        for way, tokens in (("input", input_tokens), ("output", max_output_tokens)):
            price = profile.get(f"{way}_cost_per_token")
            if not isinstance(price, Decimal) or price < 0:
                raise SqlError("PB005")
            cost += tokens * price
        return money(cost)

    def estimate_from_history(
        self, service_name: str, quantile: Decimal, since: timedelta
    ) -> tuple[Decimal | None, int]:
        costs = sorted(
            row.cost
            for row in self.rows.values()
            if row.service_name == service_name
            and row.was_hold
            and row.state == "actual"
            and row.created_at >= self.now - since
        )
        if not costs:
            return None, 0
        return costs[max(math.ceil(quantile * len(costs)) - 1, 0)], len(costs)

    # Views

    def status(self) -> StatusRow:
        limits, today = self.limits_in_force, self.day_of(self.now)
        open_holds = [row for row in self.rows_of_day(self.now) if row.is_open(self.now)]
        total, held = self.total(self.now), sum((row.cost for row in open_holds), ZERO)
        share = None
        if limits.kill:
            exact = Fraction(total) / Fraction(limits.kill) * 10_000
            share = Decimal(math.floor(exact + Fraction(1, 2))).scaleb(-4)
        return StatusRow(
            day=today.day,
            timezone=limits.zone,
            daily_soft_cap=limits.soft,
            daily_hard_cap=limits.hard,
            emergency_kill=limits.kill,
            settled=total - held,
            held=held,
            remaining=None if limits.kill is None else limits.kill - total,
            share_used=share,
            open_holds=len(open_holds),
            oldest_hold=min((row.created_at for row in open_holds), default=None),
            frozen=self.freezing is not None,
            frozen_reason=self.freezing["reason"] if self.freezing else None,
            resets_at=today.ends_at,
            unknown_keys=None if limits.is_broken else list(limits.unknown),
            is_broken=limits.is_broken,
        )

    def open_holds(self) -> list[tuple[Any, ...]]:
        return [
            (row.id, row.service_name, row.cost, row.created_at, row.expires_at, row.get("original_metadata"))
            for row in self.rows.values()
            if row.is_open(self.now)
        ]

    def daily_spend(self) -> list[tuple[Any, ...]]:
        """Per day and service: settled, held, the estimates of what was cancelled and of what lapsed, rows."""
        days: dict[tuple[date, str], list[Any]] = {}
        for row in self.rows.values():
            sums = days.setdefault((self.day_of(row.created_at).day, row.service_name), [ZERO, ZERO, ZERO, ZERO, 0])
            estimate = row.get("estimated_cost") if row.was_hold else ZERO
            is_open = row.is_open(self.now)
            sums[0] += ZERO if is_open else self.counted(row)
            sums[1] += row.cost if is_open else ZERO
            sums[2] += estimate if row.state == "cancelled" else ZERO
            sums[3] += estimate if row.state == "expired" or row.has_lapsed(self.now) else ZERO
            sums[4] += 1
        return [(*key, *sums) for key, sums in days.items()]
