"""What `reserve_many` and `settle_many` take: the arguments of many calls of `reserve` and `settle`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from pgbudget._arguments import Metadata, Money


@dataclass(frozen=True, slots=True)
class Request:
    """One reservation of a batch."""

    estimated_cost: Money
    """In the currency of the limits."""
    service_name: str
    metadata: Metadata | None = None
    """A JSON object, at most 64 KiB; Decimals are kept as text."""
    reservation_id: UUID = field(default_factory=uuid4)
    """A key of yours, or one that is made here: sending the request again charges nothing twice."""
    ttl: timedelta | None = None
    """How long the hold counts unless settled or cancelled; by default the configured time."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one hold of a batch became."""

    reservation_id: UUID
    actual_cost: Money
    """In the currency of the limits."""
    metadata: Metadata | None = None
    """A JSON object, at most 64 KiB, kept beside the original metadata."""
