"""public.check_and_reserve_budget: the hand-over's contract, for an application that knows nothing of schema budget."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.clock import Clock
from tests.pgtap import bag_eq, is_empty, throws_ok
from tests.rows import Connection, as_owner, call, configure, expect, fails, ledger, one, reserve, spend, total
from tests.sql.locks import HELD, LOCKS
from tests.sql.verdicts import DAYS, Day

FUNCTION = "public.check_and_reserve_budget"


@pytest.mark.parametrize("day", DAYS, ids=lambda day: day.what)
def test_three_columns_of_the_verdict(caller: Connection, clock: Clock, day: Day) -> None:
    day.arrange(caller, clock)
    granted = day.reason == "granted"
    answer = call(caller, FUNCTION, p_estimated_cost=day.estimate, p_service_name="test-1", p_metadata={"test": True})
    assert answer._fields == ("can_proceed", "current_total", "reservation_id")
    expect(answer, can_proceed=granted, current_total=day.current_total)
    assert isinstance(answer.reservation_id, UUID) == granted


def test_writes_the_hand_overs_row(caller: Connection, clock: Clock) -> None:
    hold = call(caller, FUNCTION, Decimal("2.50"), "manager-routing", {"work_order_id": "7"}).reservation_id
    row = ledger(caller, hold)
    expect(row, cost=Decimal("2.50"), service_name="manager-routing", created_at=clock.now, type="reservation")
    assert row.metadata["original_metadata"] == {"work_order_id": "7"}
    assert ledger(caller, call(caller, FUNCTION, 1, "test").reservation_id).metadata["original_metadata"] == {}


def test_the_limit_is_that_of_the_configuration(caller: Connection) -> None:
    configure(caller, {"emergency_kill": 200})
    expect(call(caller, FUNCTION, 150, "test"), can_proceed=True)
    configure(caller, None)
    fails(caller, "PB005", FUNCTION, 1, "test")


@pytest.fixture
def application(tx: Connection, today: Clock) -> Connection:
    """`tx` as an application's own role: it has its table and may reserve, and has never heard of schema budget."""
    tx.execute("CREATE ROLE application")
    tx.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON public.cost_tracking TO application")
    tx.execute(f"GRANT EXECUTE ON FUNCTION {FUNCTION} TO application")
    tx.execute("SET LOCAL search_path = public")
    tx.execute("SET LOCAL ROLE application")
    return tx


def test_the_hand_overs_whole_way(application: Connection) -> None:
    reserve_10 = "SELECT * FROM check_and_reserve_budget(10, p_service_name => 'manager-routing')"
    application.execute(
        "INSERT INTO cost_tracking (cost, service_name, metadata) VALUES (94, 'test-setup', %s)", [Jsonb({"test": 1})]
    )
    expect(one(application, reserve_10), can_proceed=False, current_total=94, reservation_id=None)
    application.execute("UPDATE cost_tracking SET cost = 80 WHERE service_name = 'test-setup'")

    settled, cancelled = (one(application, reserve_10).reservation_id for _ in range(2))
    expect(one(application, reserve_10), can_proceed=False, current_total=100)

    application.execute(
        "UPDATE cost_tracking SET cost = %s, metadata = %s WHERE id = %s",
        (Decimal("12.5"), Jsonb({"type": "actual", "updated_at": "2025-10-03T12:00:00.000Z", "model": "x"}), settled),
    )
    application.execute("DELETE FROM cost_tracking WHERE id = %s", [cancelled])
    expect(
        one(application, "SELECT * FROM check_and_reserve_budget(7.5, 'test')"), can_proceed=True, current_total=92.5
    )
    throws_ok(application, "SELECT * FROM budget.check(1, 'test')", None, "42501")

    with as_owner(application):
        expect(ledger(application, settled), type="actual", cost=Decimal("12.5"), expires_at=None)
        assert ledger(application, settled).metadata["model"] == "x"
        is_empty(application, "SELECT * FROM budget.invariants")


def test_its_holds_lapse_like_every_other(caller: Connection, clock: Clock) -> None:
    call(caller, FUNCTION, 95, "test")
    clock.advance(hours=1)
    expect(call(caller, FUNCTION, 95, "test"), can_proceed=True, current_total=0)


def test_counts_what_the_other_functions_hold(caller: Connection, variant: str) -> None:
    call(caller, variant, 95, "test")
    expect(call(caller, FUNCTION, 10, "test"), can_proceed=False, current_total=95)


def test_takes_the_locks_of_reserve(db: Connection) -> None:
    with db.transaction():
        call(db, FUNCTION, 1, "test")
        bag_eq(db, LOCKS, HELD["reserve"])


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_another_isolation_level_is_refused(db: Connection, level: str) -> None:
    db.isolation_level = psycopg.IsolationLevel[level.replace(" ", "_")]
    diag = fails(db, "PB001", FUNCTION, 1, "test")
    assert level in diag.message_detail


def test_settles_and_cancels_through_the_functions_too(caller: Connection) -> None:
    hold = call(caller, FUNCTION, 10, "test").reservation_id
    expect(call(caller, "settle", hold, 3), status="actual", estimated_cost=10)
    spend(caller, 1)
    call(caller, "cancel", reserve(caller, 5))
    assert total(caller) == 4
