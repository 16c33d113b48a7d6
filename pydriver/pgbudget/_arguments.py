"""How Python values become arguments of the functions: exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

Money: TypeAlias = Decimal | int | float
Metadata: TypeAlias = Mapping[str, Any]
Tokens: TypeAlias = int

SQL_TYPES = {
    "Metadata": "jsonb",
    "Money": "numeric",
    "Tokens": "bigint",
    "UUID": "uuid",
    "bool": "boolean",
    "int": "integer",
    "object": "jsonb",
    "str": "text",
    "timedelta": "interval",
}
"""What an argument is cast to, by its annotation, so that no function guesses from a literal."""


def money(value: Money) -> Decimal:
    """Return the amount as a Decimal; a float by its shortest text, so that 0.1 is 0.1. TypeError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, float)):
        raise TypeError(f"an amount is a Decimal, int or float, not {type(value).__name__}")
    return Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)


def to_json(value: object) -> str:
    """Return JSON in which money is text, because its readers would make floats of numbers. TypeError, ValueError."""

    def exact(item: object) -> str:
        if isinstance(item, (Decimal, UUID)):
            return str(item)
        raise TypeError(f"there is no JSON for a {type(item).__name__}")

    return json.dumps(dict(value) if isinstance(value, Mapping) else value, default=exact, allow_nan=False)


def limits_to_json(limits: Metadata) -> str:
    """Return limits as JSON; they have to be numbers there, and a Decimal is one digit by digit."""
    members = {
        to_json(key): str(value) if isinstance(value, Decimal) and value.is_finite() else to_json(value)
        for key, value in limits.items()
    }
    return f"{{{', '.join(f'{key}: {value}' for key, value in members.items())}}}"
