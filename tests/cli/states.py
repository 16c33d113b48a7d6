"""Databases in the states that a look at them has to show."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg

from pgbudget import Budget
from tests.rows import configure

Connection = psycopg.Connection[Any]

NASTY = "a \x1b[31mred\x1b[0m\r\n [bold]name[/bold] \u202e" + "that is long " * 11
"""What a caller may name its service: at most 200 characters, none of which may reach the terminal as it is."""


def healthy(db: Connection) -> None:
    budget = Budget(db)
    budget.record(Decimal("26.6"), "summaries")
    for cost in range(1, 31):
        budget.reserve(Decimal(cost) / 10, f"service {cost}", {"user": "ada" if cost % 2 else "bob"})


def over(db: Connection) -> None:
    budget = Budget(db)
    budget.record(Decimal("162.2"), "import")
    budget.reserve(5, "summaries")


def broken(db: Connection) -> None:
    Budget(db).record(3, "svc")
    configure(db, '{"emergency_kill": 9, "on_expiry": "burn"}')


def frozen(db: Connection) -> None:
    budget = Budget(db)
    budget.reserve(3, "svc")
    budget.freeze("the bill \x1b[31m runs away, [bold]ask[/bold] ada " * 5)
    budget.reserve(3, "svc")


def extreme(db: Connection) -> None:
    budget = Budget(db)
    budget.set_limits({"emergency_kill": 999_999_999_999_999, "daily_hard_cap": 999_999, "daily_soft_cap": 1e-6})
    budget.reserve(Decimal("123456789012345.123456789012"), NASTY)
    budget.reserve(Decimal("0.000000000001"), "tiny")
    budget.record(Decimal("999999999999999.12345678901"), "huge")
    budget.reserve(Decimal("999999999999999.1"), NASTY)


def empty(db: Connection) -> None:
    pass


STATES: dict[str, Callable[[Connection], None]] = {
    make.__name__: make for make in (empty, healthy, over, broken, frozen, extreme)
}
