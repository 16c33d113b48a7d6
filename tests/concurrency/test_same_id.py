"""One id sent by many connections at the same moment: it is charged once, and everyone learns the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.concurrency.calls import VARIANTS, answer, delete, insert, record, reserve, sqlstate
from tests.concurrency.sessions import Session
from tests.race import Connection, Crowd, Job
from tests.rows import value

CLIENTS = 40
ROUNDS = 5

MIXES = pytest.mark.parametrize("mix", [VARIANTS[:1], VARIANTS[1:], VARIANTS], ids=" and ".join)


@MIXES
def test_40_reservations_are_one_hold(db: Connection, crowd: Callable[[int], Crowd], mix: Sequence[str]) -> None:
    clients = crowd(CLIENTS)
    insert(50)(db)
    for number in range(1, ROUNDS + 1):
        hold = uuid4()
        verdicts = clients.race([reserve(mix[n % len(mix)], 10, p_reservation_id=hold) for n in range(CLIENTS)])

        before = 50 + 10 * (number - 1)
        assert Counter((v.reason, v.current_total, v.remaining) for v in verdicts) == {
            ("granted", before, 100 - before): 1,
            ("replayed", before + 10, 100 - before - 10): CLIENTS - 1,
        }
        assert len({v._replace(reason=None, current_total=None, remaining=None) for v in verdicts}) == 1
        assert {(v.can_proceed, v.reservation_id) for v in verdicts} == {(True, hold)}
        assert value(db, "SELECT array_agg(cost) FROM public.cost_tracking WHERE id = %s", hold) == [10]
    assert value(db, "SELECT settled + held FROM budget.status") == 100


@MIXES
def test_of_two_requests_under_one_id_the_first_stands(
    db: Connection, crowd: Callable[[int], Crowd], mix: Sequence[str]
) -> None:
    clients = crowd(CLIENTS)
    hold = uuid4()
    answers = clients.race(
        [sqlstate(reserve(mix[n // 2 % len(mix)], 10 + n % 2, p_reservation_id=hold)) for n in range(CLIENTS)]
    )
    [cost] = value(db, "SELECT array_agg(cost) FROM public.cost_tracking")
    winners, losers = answers[int(cost) - 10 :: 2], answers[11 - int(cost) :: 2]
    assert Counter(v.reason for v in winners) == {"granted": 1, "replayed": CLIENTS // 2 - 1}
    assert set(losers) == {"PB003"}


def test_40_records_are_one_spend(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    clients = crowd(CLIENTS)
    for _ in range(ROUNDS):
        spend = uuid4()
        assert len(set(clients.race([record(10, p_id=spend)] * CLIENTS))) == 1
        assert value(db, "SELECT array_agg(cost) FROM public.cost_tracking WHERE id = %s", spend) == [10]


def test_an_id_that_a_plain_insert_takes_meanwhile_is_not_reserved(
    db: Connection, session: Callable[[], Session]
) -> None:
    hold = uuid4()
    writer, other = session(), session()
    with writer.open(insert(1, id=hold)):
        decision = other.start(reserve("reserve_advisory", 1, p_reservation_id=hold))
        decision.waits_for(writer)
    with pytest.raises(psycopg.Error, match=f"the reservation id {hold} was used before") as caught:
        decision.result()
    assert caught.value.sqlstate == "PB003"
    assert value(db, "SELECT count(*) FROM public.cost_tracking") == 1


def test_an_id_taken_by_a_plain_insert_is_never_charged_twice(db: Connection, crowd: Callable[[int], Crowd]) -> None:
    """A direct writer does not come under the decision lock: whoever of the two is later learns that the id is gone."""
    clients = crowd(2)
    for number in range(50):
        hold = uuid4()
        reserved, inserted = clients.race(
            [sqlstate(reserve("reserve_advisory", 1, p_reservation_id=hold)), sqlstate(insert(1, id=hold))]
        )
        assert (inserted, getattr(reserved, "reason", reserved)) in {(1, "PB003"), ("23505", "granted")}
        assert value(db, "SELECT count(*) FROM public.cost_tracking") == number + 1


# What comes between a look at the id and the next one, so that a test can hold it up there.
PAUSES = {
    "record": (
        "ALTER FUNCTION budget._recorded RENAME TO _recorded_then",
        """CREATE FUNCTION budget._recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb)
           RETURNS public.cost_tracking LANGUAGE plpgsql AS $$
           BEGIN
               PERFORM pg_advisory_xact_lock(1);
               RETURN budget._recorded_then(p_id, p_actual, p_service_name, p_metadata);
           END $$""",
    ),
    "reserve": (
        "ALTER FUNCTION budget._insert_hold RENAME TO _insert_hold_first",
        """CREATE FUNCTION budget._insert_hold(
               p_id uuid, p_estimate numeric, p_service text, p_metadata jsonb, p_at timestamptz, p_until timestamptz
           )
           RETURNS uuid LANGUAGE plpgsql AS $$
           DECLARE
               v_id uuid := budget._insert_hold_first(p_id, p_estimate, p_service, p_metadata, p_at, p_until);
           BEGIN
               PERFORM pg_advisory_xact_lock(1);
               RETURN v_id;
           END $$""",
    ),
}
TAKING: dict[str, Callable[[UUID], Job[Any]]] = {
    "record": lambda row_id: record(2, p_id=row_id),
    "reserve": lambda row_id: reserve("reserve_advisory", 2, p_reservation_id=row_id),
}


@pytest.mark.parametrize("taking", TAKING)
def test_an_id_that_a_writer_took_and_gave_back_meanwhile_is_free(
    db: Connection, session: Callable[[], Session], taking: str
) -> None:
    row_id = uuid4()
    writer, other, holder = session(), session(), session()
    for statement in PAUSES[taking]:
        db.execute(statement.encode())
    with holder.open(lambda connection: connection.execute("SELECT pg_advisory_xact_lock(1)")):
        with writer.open(insert(1, id=row_id)):
            taken = other.start(TAKING[taking](row_id))
            taken.waits_for(writer)
        taken.waits_for(holder)
        assert writer.do(delete(row_id)) == 1
    assert answer(taken.result()) in ("actual", "granted")
    assert value(db, "SELECT array_agg(cost) FROM public.cost_tracking WHERE id = %s", row_id) == [2]
