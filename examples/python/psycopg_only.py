"""Guard calls with psycopg alone, as any language can: three statements, each in a transaction of its own."""

import os
from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

RESERVE = """
    SELECT can_proceed, reason, retry_at FROM budget.reserve_advisory(
        p_estimated_cost => %s, p_service_name => %s, p_reservation_id => %s
    )
"""


class NoBudgetError(Exception):
    """There is no room; the message says why."""


def guarded(dsn: str, estimate: Decimal, service: str, call: Callable[[], tuple[str, Decimal]]) -> str:
    """Make the call if there is room for it, and book what it cost."""
    hold = uuid4()  # made here: whoever repeats a reservation by its id is charged once
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        [verdict] = connection.execute(RESERVE, [estimate, service, hold])
        if not verdict["can_proceed"]:
            raise NoBudgetError(f"{verdict['reason']}, try again at {verdict['retry_at']}")
        try:
            answer, cost = call()
        except Exception as error:
            connection.execute("SELECT FROM budget.cancel(%s, %s)", [hold, type(error).__name__])
            raise
        # Not inside the try: when this fails the money is spent all the same, and cancelling would hide it.
        connection.execute("SELECT FROM budget.settle(%s, %s)", [hold, cost])
        return answer


def fails() -> tuple[str, Decimal]:
    """Stand in for a call that costs nothing because it fails."""
    raise ConnectionRefusedError("no such model")


if __name__ == "__main__":
    url = os.environ["DATABASE_URL"]
    print(guarded(url, Decimal("2.50"), "summaries", lambda: ("an answer for 1.87", Decimal("1.87"))))
    for estimate, call in (Decimal("2.50"), fails), (Decimal(250), fails):
        try:
            guarded(url, estimate, "summaries", call)
        except (ConnectionRefusedError, NoBudgetError) as error:
            print(type(error).__name__, error)
    with psycopg.connect(url) as connection:
        [(total,)] = connection.execute("SELECT current_total FROM budget.check(0, 'summaries')")
        print("spent today:", total)
