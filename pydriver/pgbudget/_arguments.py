"""How Python values become arguments of the functions: exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from pgbudget.batches import Request, Settlement

Money: TypeAlias = Decimal | int | float
Metadata: TypeAlias = Mapping[str, Any]
Tokens: TypeAlias = int

SQL_TYPES = {
    "Metadata": "pg_catalog.jsonb",
    "Money": "numeric",
    "Sequence[Request]": "pg_catalog.jsonb",
    "Sequence[Settlement]": "pg_catalog.jsonb",
    "Tokens": "bigint",
    "UUID": "pg_catalog.uuid",
    "bool": "boolean",
    "int": "integer",
    "object": "pg_catalog.jsonb",
    "str": "pg_catalog.text",
    "timedelta": "interval",
}
"""What an argument is cast to, by its annotation, so that no function guesses from a literal.

What is no keyword of SQL has its schema, so that nothing is looked up in the session's search_path.
"""


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


def batch_to_json(batch: Iterable[Request | Settlement]) -> str:
    """Return a batch as JSON, without what is left out. TypeError, ValueError."""

    def sent(name: str, value: Any) -> Any:
        if isinstance(value, timedelta):
            return f"{value // timedelta(microseconds=1)} microseconds"
        return money(value) if name.endswith("_cost") else value

    batch = list(batch)
    for element in batch:
        if not is_dataclass(element):
            raise TypeError(f"a batch is of Request or Settlement, not {type(element).__name__}")
    given = ({field.name: getattr(element, field.name) for field in fields(element)} for element in batch)
    return to_json([{n: sent(n, value) for n, value in element.items() if value is not None} for element in given])
