"""The sweeper among others: it skips what they hold, takes each lapsed hold once, and keeps nobody waiting for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.concurrency.calls import UNDER_TABLE_LOCK, VARIANTS, call, expire, holds, reserve, settle, total
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd
from tests.rows import value

Open = Callable[[], Session]

LAPSED = "1 microsecond"


def test_it_goes_in_batches_and_skips_what_another_holds(db: Connection, session: Open) -> None:
    lapsed = holds(db, 9, 10, LAPSED)
    holder, sweeper = session(), session()
    with holder.open(settle(lapsed[0], 12)):
        assert [tuple(sweeper.do(expire(5))) for _ in range(3)] == [(5, 50), (3, 30), (0, 0)]
    assert tuple(sweeper.do(expire())) == (0, 0)
    assert total(db) == 12
    types = db.execute("SELECT metadata ->> 'type', count(*) FROM public.cost_tracking GROUP BY 1 ORDER BY 1")
    assert types.fetchall() == [("actual", 1), ("expired", 8)]


def test_what_another_held_and_left_as_it_was_is_taken_next_time(db: Connection, session: Open) -> None:
    [lapsed] = holds(db, 1, 10, LAPSED)
    holder, sweeper = session(), session()
    with holder.open(settle(lapsed, 12)):
        assert sweeper.do(expire()).expired == 0
        holder.rollback()
    assert sweeper.do(expire()).expired == 1


def test_many_sweepers_take_each_hold_once(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    holds(db, 96, 10, LAPSED)  # so few that no decision sweeps them

    def sweep(connection: Connection) -> tuple[int, int]:
        """Batches until there is nothing left that is not another's."""
        expired = released = 0
        while (batch := expire(3)(connection)).expired:
            expired += batch.expired
            released += batch.released
        return expired, released

    swept = crowd(4).race([sweep] * 4)
    assert tuple(map(sum, zip(*swept, strict=True))) == (96, 960)
    assert value(db, "SELECT count(*) FROM public.cost_tracking WHERE metadata ->> 'type' = 'expired'") == 96


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_open_batch_holds_up_no_decision_but_one_under_the_table_lock_and_that_no_longer_than_the_batch(
    db: Connection, session: Open, variant: str
) -> None:
    holds(db, 10, 10, LAPSED)
    sweeper, other = session(), session()
    with sweeper.open(expire(5)):
        assert sweeper.do(call("check", 0, "test")).current_total == 0
        decision = other.start(reserve(variant, 100))
        if variant in UNDER_TABLE_LOCK:
            decision.waits_for(sweeper)
        else:
            assert decision.result()
    assert (decision.result().can_proceed, decision.result().current_total) == (True, 0)
    assert sweeper.do(expire()).expired == 5
