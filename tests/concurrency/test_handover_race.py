"""The race of the handover, as it was and as it is now: two requests of $10 near the limit of $100."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.concurrency.calls import call, empty_ledger, insert, total
from tests.race import Connection, Crowd, barrier
from tests.rows import value

ROUNDS = 20

SQL = Path(__file__).parents[1] / "sql_support" / "set_daily_spend_for_test.sql"


def spend_by_insert(db: Connection, spent: int) -> None:
    empty_ledger(db)
    insert(spent)(db)


def spend_by_handover(db: Connection, spent: int) -> None:
    """As the handover's own test does it: with today's date as JavaScript's toISOString gives it."""
    db.execute(SQL.read_bytes())
    today = datetime.now(timezone.utc).date().isoformat()
    db.execute("SELECT public.set_daily_spend_for_test(target_spend => %s, test_date => %s)", (spent, today))


SPEND = pytest.mark.parametrize("spend", [spend_by_insert, spend_by_handover])


@SPEND
def test_two_that_read_before_they_write_end_the_day_at_115(
    db: Connection, crowd: Callable[[int], Crowd], spend: Callable[[Connection, int], None]
) -> None:
    spend(db, 95)
    both_have_read = barrier(2)

    def read_then_write(connection: Connection) -> None:
        spent = total(connection)
        both_have_read.wait()
        if spent < 100:
            insert(10)(connection)

    crowd(2).race([read_then_write] * 2)
    assert total(db) == 115


@SPEND
@pytest.mark.parametrize(("spent", "granted"), [(90, 1), (95, 0)])
def test_of_two_that_reserve_first_as_many_are_granted_as_fit(
    db: Connection,
    crowd: Callable[[int], Crowd],
    spend: Callable[[Connection, int], None],
    spent: int,
    granted: int,
) -> None:
    requests = [
        call(
            "public.check_and_reserve_budget",
            p_estimated_cost=10,
            p_service_name=service,
            p_metadata={"test": True},
        )
        for service in ("test-1", "test-2")
    ]
    clients = crowd(2)
    for _ in range(ROUNDS):
        spend(db, spent)
        answers = sorted(clients.race(requests), reverse=True)
        assert answers[0]._fields == ("can_proceed", "current_total", "reservation_id")
        seen = [(answer.can_proceed, answer.current_total) for answer in answers]
        assert seen == [(True, spent)] * granted + [(False, spent + 10 * granted)] * (2 - granted)
        assert all((answer.reservation_id is not None) == answer.can_proceed for answer in answers)
        assert total(db) == spent + 10 * granted
    assert value(db, "SELECT count(*) FROM budget.open_holds") == granted
