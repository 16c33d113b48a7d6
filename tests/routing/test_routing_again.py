"""Routing an order again first cancels what the earlier routing still holds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.clock import Clock
from tests.concurrency.sessions import Session
from tests.conftest import Connect
from tests.pgtap import results_eq
from tests.race import Connection, Crowd, Job, until
from tests.routing.orders import (
    REFUSED,
    add_order,
    decided,
    hold_of,
    open_holds,
    refusals,
    route,
    routing,
    states,
    stored,
)
from tests.rows import call, spend

AT_ONCE = 8


def known(db: Connection) -> UUID:
    return add_order(db)


def unknown(db: Connection) -> UUID:
    """An order that is not in the table, so that neither its row nor its last decision is."""
    return uuid4()


BOTH = pytest.mark.parametrize("order_of", [known, unknown])


@BOTH
def test_the_earlier_hold_is_cancelled(db: Connection, order_of: Callable[[Connection], UUID]) -> None:
    order = order_of(db)
    first, second = hold_of(decided(db, order)), hold_of(decided(db, order))
    assert first != second
    assert open_holds(db, order) == [second]
    results_eq(
        db,
        "SELECT cost, metadata ->> 'type', metadata ->> 'cancel_reason' FROM public.cost_tracking WHERE id = %s",
        [(0, "cancelled", "the work order was routed again")],
        [first],
    )
    results_eq(db, "SELECT held::text FROM budget.status", [("1.00",)])


def test_the_decision_names_the_open_hold(db: Connection) -> None:
    order = known(db)
    for _ in range(3):
        decided(db, order)
    assert open_holds(db, order) == [hold_of(stored(db, order)["manager_routing"])]


@BOTH
def test_its_money_is_free_before_the_new_one_is_reserved(
    db: Connection, order_of: Callable[[Connection], UUID]
) -> None:
    order = order_of(db)
    spend(db, 99)
    decided(db, order)
    assert Decimal(decided(db, order)["routing_metadata"]["daily_spend"]) == 99
    assert route(db, uuid4()) == REFUSED


def test_a_refusal_cancels_it_too(db: Connection) -> None:
    order = known(db)
    decision = decided(db, order)
    spend(db, 100)
    assert route(db, order) == REFUSED
    assert open_holds(db, order) == []
    assert refusals(db) == [f"work order {order}"]
    assert hold_of(stored(db, order)["manager_routing"]) == hold_of(decision)


def test_what_has_ended_stays_as_it_ended(db: Connection, clock: Clock) -> None:
    order = known(db)
    for end in (
        "SELECT FROM budget.settle(%s, 0.8)",
        "SELECT FROM budget.cancel(%s, 'failed')",
        "DELETE FROM public.cost_tracking WHERE id = %s",
    ):
        db.execute(end.encode(), [hold_of(decided(db, order))])
    clock.advance(hours=2)
    lapsed = hold_of(decided(db, order))
    clock.advance(hours=2)
    decided(db, order)
    assert states(db, order) == [
        ("actual", "0.8"),
        ("cancelled", "0"),
        ("reservation", "1.00"),
        ("reservation", "1.00"),
    ]
    results_eq(db, "SELECT metadata ->> 'cancel_reason' FROM cost_tracking WHERE cost = 0", [("failed",)])
    assert lapsed not in open_holds(db, order)


def test_the_holds_of_others_stay(db: Connection) -> None:
    order, other = known(db), known(db)
    decided(db, other)
    db.execute("SELECT FROM budget.reserve(1, 'review', jsonb_build_object('work_order_id', %s::uuid))", [order])
    for _ in range(2):
        decided(db, order)
    assert len(open_holds(db, other)) == 1
    results_eq(db, "SELECT count(*) FROM budget.open_holds WHERE service_name = 'review'", [(1,)])


def test_a_late_settle_of_the_cancelled_hold_is_recorded(db: Connection) -> None:
    """The first call went on after all: its cost counts beside the new hold."""
    order = known(db)
    first = hold_of(decided(db, order))
    decided(db, order)
    assert call(db, "settle", first, "0.9").late
    results_eq(db, "SELECT settled::text, held::text FROM budget.status", [("0.9", "1.00")])


def test_a_hold_that_was_extended_for_more_than_a_day_is_found(db: Connection, clock: Clock) -> None:
    order = known(db)
    hold = hold_of(decided(db, order))
    for minutes in (59, 20 * 60, 20 * 60):
        clock.advance(minutes=minutes)
        results_eq(db, "SELECT can_proceed FROM budget.extend(%s, p_ttl => '24 hours')", [(True,)], [hold])
    clock.advance(hours=20)
    assert open_holds(db, order) == [hold]
    second = hold_of(decided(db, order))
    assert open_holds(db, order) == [second]


def test_the_earlier_hold_is_found_without_reading_the_whole_ledger(db: Connection, connect: Connect) -> None:
    """The search runs under the decision lock, while everybody waits."""
    order = known(db)
    db.execute(
        """INSERT INTO public.cost_tracking (service_name, cost, created_at)
           SELECT 'old', 0.01, budget._now() - interval '2 days' - n * interval '1 minute'
           FROM generate_series(1, 20000) AS n"""
    )
    db.execute("ANALYZE public.cost_tracking")
    decided(db, order)
    with connect(autocommit=False) as transaction:
        for _ in range(8):  # past the point where a plan is kept
            decided(transaction, order)
        scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'public.cost_tracking'::regclass"
        results_eq(transaction, scans, [(0,)])


@pytest.mark.parametrize("last", ['"nonsense"', '"2f1c6a54-0000-0000-0000-00000000000g"', "7", "null", "{}"])
def test_a_decision_that_was_changed_by_hand_does_no_harm(db: Connection, last: str) -> None:
    order = known(db)
    decided(db, order)
    path = "{manager_routing,routing_metadata,budget_reservation_id}"
    db.execute("UPDATE public.work_orders SET metadata = jsonb_set(metadata, %s, %s)", (path, last))
    assert [hold_of(decided(db, order))] == open_holds(db, order)


def ends(query: str) -> Job[Any]:
    return lambda connection: connection.execute(query.encode()).fetchone()


@BOTH
@pytest.mark.parametrize(
    ("end", "left"),
    [
        ("SELECT FROM budget.settle(%s, 0.8)", ("actual", "0.8")),
        ("SELECT FROM budget.cancel(%s)", ("cancelled", "0")),
    ],
)
def test_a_hold_that_another_session_is_ending_is_left_to_it(
    db: Connection,
    session: Callable[[], Session],
    order_of: Callable[[Connection], UUID],
    end: str,
    left: tuple[str, str],
) -> None:
    """Routing holds the decision lock, so it waits for no one's row."""
    order, other = order_of(db), session()
    hold = hold_of(decided(db, order))
    with other.open(lambda connection: connection.execute(end.encode(), [hold])):
        second = hold_of(session().do(routing(order))["routing_decision"])
    assert states(db, order) == [left, ("reservation", "1.00")]
    assert open_holds(db, order) == [second]


@pytest.mark.parametrize("extender_is_first", [True, False])
def test_an_extension_under_way_is_no_deadlock(
    db: Connection, session: Callable[[], Session], extender_is_first: bool
) -> None:
    """It has the row and waits for the decision lock, which routing has, or waits for: routing leaves the row to it."""
    order = known(db)
    hold = hold_of(decided(db, order))
    jobs: list[Job[Any]] = [
        ends(f"SELECT can_proceed FROM budget.extend('{hold}', p_ttl => '2 hours')"),
        lambda connection: (routing(order)(connection)["success"],),
    ]
    if not extender_is_first:
        jobs.reverse()
    deciding, ahead, behind = session(), session(), session()
    with deciding.open(routing(add_order(db))):
        first = ahead.start(jobs[0])
        first.waits_for(deciding)
        second = behind.start(jobs[1])
        # Where one row is waited for, whoever comes first of those that wait holds up the others.
        until(lambda: bool(behind.blockers() & {deciding.pid, ahead.pid}), "the other to wait as well")
    assert (first.result(), second.result()) == ((True,), (True,))


@BOTH
def test_an_order_routed_many_times_at_once_ends_with_one_open_hold(
    db: Connection, connect: Connect, order_of: Callable[[Connection], UUID]
) -> None:
    order = order_of(db)
    spend(db, 99)
    with Crowd(connect() for _ in range(AT_ONCE)) as crowd:
        for _ in range(5):
            answers = crowd.race([routing(order)] * AT_ONCE)
            assert all(answer["success"] for answer in answers)
            [hold] = open_holds(db, order)
            assert hold in {hold_of(answer["routing_decision"]) for answer in answers}
            assert order_of is unknown or hold_of(stored(db, order)["manager_routing"]) == hold
    assert sorted(states(db, order)) == [("cancelled", "0")] * (5 * AT_ONCE - 1) + [("reservation", "1.00")]
