"""budget.check: the verdict that reserve would give, and nothing else."""

from __future__ import annotations

import pytest

from tests.clock import Clock
from tests.conftest import Connect
from tests.pgtap import lives_ok, results_eq
from tests.rows import Connection, as_owner, call, expect, ledger_size
from tests.sql.verdicts import DAYS, Day


@pytest.mark.parametrize("day", DAYS, ids=lambda day: day.what)
def test_the_verdict_that_reserve_would_give(caller: Connection, clock: Clock, day: Day) -> None:
    day.arrange(caller, clock)
    size = ledger_size(caller)
    checked = call(caller, "check", day.estimate, "test")
    assert ledger_size(caller) == size
    assert checked.reason == day.reason
    assert checked == call(caller, "reserve", day.estimate, "test")._replace(reservation_id=None, expires_at=None)


@pytest.mark.parametrize("service", ["test", "architect"])
def test_frozen_and_exempt_services_as_in_reserve(caller: Connection, clock: Clock, service: str) -> None:
    expect(call(caller, "check", 101, service), reason="too_large" if service == "test" else "granted")
    with as_owner(caller):
        call(caller, "freeze", "stop")
    checked = call(caller, "check", p_estimated_cost=101, p_service_name=service, p_metadata={})
    expect(checked, can_proceed=False, reason="frozen", retry_at=None)
    assert checked == call(caller, "reserve", 101, service)


def test_changes_nothing_and_locks_nothing(db: Connection) -> None:
    with db.transaction():
        call(db, "check", 10, "test")
        results_eq(db, "SELECT pg_current_xact_id_if_assigned()", [(None,)])
        results_eq(
            db,
            """SELECT DISTINCT mode FROM pg_locks
                WHERE pid = pg_backend_pid() AND locktype IN ('relation', 'advisory', 'tuple')""",
            [("AccessShareLock",)],
        )


def test_does_not_wait_for_those_who_reserve(db: Connection, connect: Connect) -> None:
    other = connect(role="app", options="-c lock_timeout=1ms")  # any wait for them would be an error
    with db.transaction():
        call(db, "reserve", 10, "test")
        lives_ok(other, "SELECT * FROM budget.check(10, 'test')")


def test_works_in_a_read_only_transaction(db: Connection) -> None:
    with db.transaction():
        db.execute("SET TRANSACTION READ ONLY")
        expect(call(db, "check", 10, "test"), reason="granted")
