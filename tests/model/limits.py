"""What a configuration means, or that it is broken."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

TOO_MUCH = Decimal(10) ** 15
LONGEST = timedelta(hours=24)
KEYS = {
    "daily_soft_cap",
    "daily_hard_cap",
    "emergency_kill",
    "timezone",
    "reservation_ttl",
    "on_expiry",
    "exempt_services",
}
# The texts that stand for an interval here. Any other text is taken for none.
INTERVALS = {
    "1 hour": timedelta(hours=1),
    "90 minutes": timedelta(minutes=90),
    "00:00:00.001": timedelta(milliseconds=1),
    "1 day": timedelta(hours=24),
    "1 day 1 second": timedelta(hours=24, seconds=1),
    "0 seconds": timedelta(),
    "-1 hour": timedelta(hours=-1),
}


@dataclass(frozen=True)
class Limits:
    """The limits in force. Without a `kill` they are broken, and the rest is what holds then."""

    soft: Decimal | None = None
    hard: Decimal | None = None
    kill: Decimal | None = None
    zone: str = "UTC"
    ttl: timedelta = timedelta(hours=1)
    keeps: bool = False
    exempt: tuple[str, ...] = ("architect",)
    unknown: tuple[str, ...] = ()

    @property
    def is_broken(self) -> bool:
        return self.kill is None


class BrokenError(Exception):
    """The configuration breaks a rule."""


def parse_json(text: str | None) -> Any:
    """The value of a text that is JSON, with exact numbers; any other text is returned as it is."""
    if text is None:
        return None

    def refuse(constant: str) -> None:
        raise ValueError(f"JSON has no {constant}")

    try:
        return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=refuse)
    except ValueError:
        return text


def read_limits(config: Any) -> Limits:
    """What a parsed configuration means; None stands for one that is missing."""
    try:
        return _checked(config)
    except BrokenError:
        return Limits()


def _must(holds: bool) -> None:
    if not holds:
        raise BrokenError


def _checked(config: Any) -> Limits:
    _must(isinstance(config, dict) and "emergency_kill" in config)

    def cap(key: str) -> Decimal | None:
        if key not in config:
            return None
        amount = config[key]
        _must(isinstance(amount, Decimal) and 0 <= amount < TOO_MUCH)
        return Decimal(amount)

    soft, hard, kill = cap("daily_soft_cap"), cap("daily_hard_cap"), cap("emergency_kill")
    ladder = [amount for amount in (soft, hard, kill) if amount is not None]
    _must(ladder == sorted(ladder))

    zone = config.get("timezone", "UTC")
    _must(isinstance(zone, str))
    try:
        ZoneInfo(zone)
    except (LookupError, ValueError, OSError) as error:
        raise BrokenError from error

    interval = config.get("reservation_ttl", "1 hour")
    _must(isinstance(interval, str) and timedelta() < INTERVALS.get(interval, timedelta()) <= LONGEST)

    on_expiry = config.get("on_expiry", "release")
    _must(on_expiry in ("release", "keep"))

    exempt = config.get("exempt_services", ["architect"])
    _must(isinstance(exempt, list) and all(isinstance(name, str) for name in exempt))

    unknown = tuple(sorted(config.keys() - KEYS))
    return Limits(soft, hard, kill, zone, INTERVALS[interval], on_expiry == "keep", tuple(exempt), unknown)
