"""Batches that meet: never past a limit, never a deadlock, nothing charged twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.budgets.batches import Element, reserve_many, settle_many
from tests.budgets.standing import members, set_budget, standing
from tests.concurrency.calls import insert
from tests.concurrency.conftest import healthy, midday
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd, Job
from tests.rows import call, total

__all__ = ["healthy", "midday"]

ROUNDS = 10
SLOTS = pytest.mark.parametrize("slots", [1, 4])


def slotted(db: Connection, slots: int) -> None:
    call(db, "set_budget", "daily", None, p_slots=slots)


def asked(count: int, cost: str = "1", **others: object) -> list[Element]:
    return [{"estimated_cost": cost, "service_name": "svc", **others} for _ in range(count)]


def reserving(requests: list[Element]) -> Job[list[Any]]:
    return lambda connection: reserve_many(connection, requests)


def settling(settlements: list[Element]) -> Job[list[Any]]:
    return lambda connection: settle_many(connection, settlements)


def one(cost: str = "1") -> Job[list[Any]]:
    return lambda connection: [call(connection, "reserve", cost, "svc")]


@SLOTS
def test_the_day_is_filled_exactly(db: Connection, crowd: Callable[[int], Crowd], slots: int) -> None:
    """Six batches of 30, and singles between them, for a limit of 100."""
    slotted(db, slots)
    clients = crowd(8)
    for _ in range(ROUNDS):
        answers = clients.race([*[reserving(asked(30))] * 6, one(), one()])
        verdicts = [verdict for answer in answers for verdict in answer]
        assert Counter(v.can_proceed for v in verdicts) == {True: 100, False: 82}
        assert total(db) == 100
        granted = [{"reservation_id": str(v.reservation_id), "actual_cost": 0} for v in verdicts if v.can_proceed]
        settle_many(db, granted)
        assert total(db) == 0


@SLOTS
def test_budgets_in_any_order_are_no_deadlock(db: Connection, crowd: Callable[[int], Crowd], slots: int) -> None:
    """Each client asks for all teams in an order of its own, more than some have room for."""
    slotted(db, slots)
    set_budget(db, "team", 8, "team", slots=slots)
    set_budget(db, "user", 6, "user")
    teams = [f"team {n}" for n in range(6)]
    clients = crowd(6)
    jobs = []
    for client in range(6):
        order = (teams[client:] + teams[:client])[:: 1 if client % 2 else -1]
        jobs.append(
            reserving([request for team in order * 2 for request in asked(1, metadata={"team": team, "user": team})])
        )
    clients.race(jobs)
    assert members(db, "user") == dict.fromkeys(teams, 6)
    assert members(db, "team") == dict.fromkeys(teams, 6)


@SLOTS
def test_one_batch_sent_twice_at_a_time_is_charged_once(
    db: Connection, crowd: Callable[[int], Crowd], slots: int
) -> None:
    slotted(db, slots)
    clients = crowd(6)
    for _ in range(ROUNDS):
        batch = [request | {"reservation_id": str(uuid4())} for request in asked(10)]
        before = total(db)
        answers = clients.race([reserving(batch)] * 6)
        for request, verdicts in zip(batch, zip(*answers, strict=True), strict=True):
            assert {str(v.reservation_id) for v in verdicts} == {request["reservation_id"]}
            assert Counter(v.reason for v in verdicts) == {"granted": 1, "replayed": 5}
        assert total(db) == before + 10


def test_ids_in_opposite_orders_are_no_deadlock(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    slotted(db, 4)
    clients = crowd(4)
    for _ in range(ROUNDS):
        batch = [request | {"reservation_id": str(uuid4())} for request in asked(100, "0.01")]
        before = total(db)
        answers = clients.race([reserving(batch), reserving(batch[::-1])] * 2)
        assert Counter(v.reason for answer in answers for v in answer) == {"granted": 100, "replayed": 300}
        assert total(db) == before + 1


def test_holds_settled_in_opposite_orders_are_no_deadlock(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    clients = crowd(4)
    for _ in range(ROUNDS):
        holds = [str(v.reservation_id) for v in reserve_many(db, asked(40, "0.25"))]
        batch = [{"reservation_id": hold, "actual_cost": "0.2"} for hold in holds]
        answers = clients.race([settling(batch), settling(batch[::-1]), settling(batch[20:]), settling(batch[25::-1])])
        for answer in answers:
            assert {(o.status, o.actual_cost, o.late) for o in answer} == {("actual", answer[0].actual_cost, False)}
        assert total(db) == standing(db, "daily").spent
    assert total(db) == ROUNDS * 40 * answers[0][0].actual_cost


def test_a_batch_waits_for_an_open_decision_and_then_sees_it(db: Connection, session: Callable[[], Session]) -> None:
    first, second = session(), session()
    with first.open(one("60")):
        waiting = second.start(reserving(asked(60)))
        waiting.waits_for(first)
    assert Counter(v.can_proceed for v in waiting.result()) == {True: 40, False: 20}


@SLOTS
@pytest.mark.parametrize("stays", [True, False])
def test_an_id_that_a_plain_insert_takes_meanwhile_is_not_reserved(
    db: Connection, session: Callable[[], Session], slots: int, stays: bool
) -> None:
    slotted(db, slots)
    writer, reserver = session(), session()
    batch = [request | {"reservation_id": str(uuid4())} for request in asked(4)]
    taken = batch[2]["reservation_id"]
    with writer.open(insert(3, id=UUID(taken))):
        waiting = reserver.start(reserving(batch))
        waiting.waits_for(writer)
        if not stays:
            writer.rollback()
    if stays:
        with pytest.raises(psycopg.Error, match=f"the reservation id {taken} was used before") as caught:
            waiting.result()
        assert caught.value.sqlstate == "PB003"
        assert total(db) == 3
    else:
        assert [v.reason for v in waiting.result()] == ["granted"] * 4
