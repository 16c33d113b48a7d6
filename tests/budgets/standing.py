"""Budgets as an admin sets them, and how they stand."""

from __future__ import annotations

from typing import Any

from tests.rows import Amount, Connection, as_owner, call, one, rows


def call_as_owner(connection: Connection, function: str, *args: object, **named: object) -> Any:
    """Call a function of an admin's, whoever the connection is at the moment."""
    with as_owner(connection):
        return call(connection, function, *args, **named)


def set_budget(connection: Connection, name: str, limit: Amount, dimension: str = "*", **named: object) -> Any:
    """Set a budget, whoever the connection is at the moment. Arguments by their names without `p_`."""
    return call_as_owner(
        connection, "set_budget", name, limit, dimension, **{f"p_{key}": value for key, value in named.items()}
    )


def standing(connection: Connection, name: str, member: str = "*") -> Any:
    """The row of `budget.budget_status` of a member."""
    with as_owner(connection):
        return one(
            connection, "SELECT * FROM budget.budget_status AS s WHERE s.name = %s AND s.member = %s", name, member
        )


def members(connection: Connection, name: str) -> dict[str, Any]:
    """What is spent and held by each member that a budget knows in its window."""
    with as_owner(connection):
        found = rows(connection, "SELECT * FROM budget.budget_status AS s WHERE s.name = %s", name)
    return {row.member: row.spent + row.held for row in found if row.member is not None}


def drift(connection: Connection) -> list[Any]:
    """The balances that are not the sum of their ledger rows: what `budget.invariants` complains of."""
    with as_owner(connection):
        return rows(connection, "SELECT d.budget, d.member, d.balance, d.ledger FROM budget._drift() AS d")
