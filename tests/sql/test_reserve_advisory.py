"""The one difference between budget.reserve and budget.reserve_advisory: the lock, and who goes on under it.

With budgets there is none left.
"""

from __future__ import annotations

import pytest

from tests.conftest import Connect
from tests.pgtap import bag_eq, lives_ok, throws_ok
from tests.rows import Connection, call, reserve
from tests.sql.locks import ALL_MODES, HELD, LOCKS, OTHERS_GO_ON


def test_locks_until_the_end_of_the_transaction(db: Connection, variant: str) -> None:
    with db.transaction():
        call(db, variant, 10, "test")
        bag_eq(db, LOCKS, HELD[variant])
    bag_eq(db, LOCKS, [])


@pytest.mark.parametrize("mode", ALL_MODES)
def test_who_goes_on_meanwhile(db: Connection, connect: Connect, variant: str, mode: str) -> None:
    other = connect()
    lock = f"LOCK TABLE public.cost_tracking IN {mode} MODE NOWAIT"
    with db.transaction(), other.transaction():
        call(db, variant, 10, "test")
        if mode in OTHERS_GO_ON[variant]:
            lives_ok(other, lock)
        else:
            throws_ok(other, lock, None, "55P03")


def test_spend_is_written_settled_and_recorded_under_the_advisory_lock(db: Connection, connect: Connect) -> None:
    other, hold = connect(), reserve(db, 10)
    other.execute("SET lock_timeout = '1s'")
    with db.transaction():
        call(db, "reserve_advisory", 10, "test")
        other.execute("INSERT INTO public.cost_tracking (service_name, cost) VALUES ('direct', 1)")
        call(other, "settle", hold, 8)
        call(other, "record", 1, "test")
    assert call(db, "check", 0, "test").current_total == 20
