"""The application's own way stays legal: INSERT, UPDATE and DELETE on the ledger, past every function."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.clock import NOON, Clock
from tests.pgtap import is_empty, throws_ok
from tests.rows import (
    Connection,
    call,
    configure,
    expect,
    failing,
    fails,
    ledger,
    one,
    reserve,
    spend,
    total,
)

Metadata = dict[str, object] | None

HANDOVER = {"type": "actual", "updated_at": "2025-10-03T12:01:00.000Z", "tokens": 7}
"""What the hand-over's updateReservationWithActual writes."""


def insert(connection: Connection, cost: object, metadata: object = None) -> UUID:
    """As the application inserts: without id or created_at."""
    row = one(
        connection,
        "INSERT INTO public.cost_tracking (cost, service_name, metadata) VALUES (%s, 'test-setup', %s) RETURNING id",
        cost,
        metadata if isinstance(metadata, str) else Jsonb(metadata),
    )
    row_id: UUID = row.id
    return row_id


def update(connection: Connection, row_id: UUID, cost: object, metadata: object) -> None:
    connection.execute(
        "UPDATE public.cost_tracking SET cost = %s, metadata = %s WHERE id = %s",
        (cost, metadata if isinstance(metadata, str) else Jsonb(metadata), row_id),
    )


# ---------------------------------------------------------------------------------------------------- plain spend


@pytest.mark.parametrize(
    "metadata",
    [
        "null",
        "{}",
        "[]",
        '"reservation"',
        '["type", "reserved_at"]',
        '{"test": true}',
        '{"type": "actual"}',
        '{"type": "cancelled"}',
        '{"type": "expired"}',
        '{"type": "something else"}',
        '{"type": null}',
        '{"type": ["reservation"]}',
        '{"late": 1, "reserved_at": "yesterday", "estimated_cost": "unknown"}',
    ],
)
def test_a_plain_insert_is_spend(tx: Connection, today: Clock, metadata: str) -> None:
    row_id = insert(tx, 94, metadata)
    expect(ledger(tx, row_id), cost=94, expires_at=None)
    assert one(tx, "SELECT metadata::text FROM cost_tracking WHERE id = %s", row_id).metadata == metadata
    assert total(tx) == 94
    is_empty(tx, "SELECT * FROM budget.invariants")


def test_sql_null_is_metadata_too(tx: Connection, today: Clock) -> None:
    tx.execute("INSERT INTO public.cost_tracking (cost, service_name, metadata) VALUES (94, 'test-setup', NULL)")
    assert total(tx) == 94
    expect(call(tx, "reserve", 10, "test"), reason="exhausted")


@pytest.mark.parametrize("metadata", [{}, {"type": "actual"}, {"type": "cancelled"}, {"type": "other"}])
def test_plain_spend_is_the_applications_own(tx: Connection, today: Clock, metadata: Metadata) -> None:
    row_id = insert(tx, 94, metadata)
    tx.execute(
        """UPDATE public.cost_tracking
              SET cost = 7, metadata = '{"type": "expired"}', service_name = 'moved', created_at = created_at, id = %s
            WHERE id = %s""",
        ((moved := uuid4()), row_id),
    )
    expect(ledger(tx, moved), cost=7, service_name="moved", metadata={"type": "expired"})
    assert total(tx) == 7
    tx.execute("DELETE FROM public.cost_tracking WHERE id = %s", [moved])
    assert total(tx) == 0


@pytest.mark.parametrize("metadata", [{}, {"type": "actual"}, {"reserved_at": "x"}, {"type": "y", "reserved_at": "x"}])
def test_spend_cannot_become_a_hold(tx: Connection, metadata: Metadata) -> None:
    row_id = insert(tx, 94, metadata)
    with failing(tx, "PB004"):
        update(tx, row_id, 94, {"type": "reservation"})


@pytest.mark.parametrize(
    ("column", "value", "sqlstate"),
    [
        ("cost", "-0.01", "23514"),
        ("cost", "'NaN'", "23514"),
        ("cost", "'Infinity'", "23514"),
        ("cost", "'-Infinity'", "23514"),
        ("cost", "1e15", "23514"),
        ("cost", "NULL", "23502"),
        ("created_at", "NULL", "23514"),
        ("expires_at", "now()", "23514"),  # only a hold has one
    ],
)
def test_rows_that_no_sum_could_bear_are_rejected(tx: Connection, column: str, value: str, sqlstate: str) -> None:
    columns = {"service_name": "'direct'", "cost": "1", column: value}
    insert = f"INSERT INTO public.cost_tracking ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"
    throws_ok(tx, insert, None, sqlstate)
    row_id = spend(tx, 1)
    throws_ok(tx, f"UPDATE public.cost_tracking SET {column} = {value} WHERE id = %s", [row_id], sqlstate)


# ----------------------------------------------------------------------------------------------------- holds: ends


@pytest.mark.parametrize("actual", [0, Decimal("7.25"), 10, 500])
@pytest.mark.parametrize("metadata", [HANDOVER, {"type": "actual"}])
def test_the_hand_overs_settle(tx: Connection, clock: Clock, actual: Decimal, metadata: Metadata) -> None:
    hold = reserve(tx, 10, p_metadata={"work": "order"})
    clock.advance(minutes=1)
    update(tx, hold, actual, metadata)
    expect(
        ledger(tx, hold),
        cost=actual,
        expires_at=None,
        metadata={
            **(metadata or {}),
            "original_metadata": {"work": "order"},
            "requested_cost": "10",
            "estimated_cost": "10",
            "reserved_at": "2025-10-03T12:00:00.000000Z",
            "settled_at": "2025-10-03T12:01:00.000000Z",
        },
    )
    assert total(tx) == actual
    expect(call(tx, "settle", hold, actual), status="actual", actual_cost=actual, estimated_cost=10, late=False)


def test_a_direct_settle_after_the_lapse_is_late(tx: Connection, clock: Clock) -> None:
    hold = reserve(tx, 10)
    clock.advance(hours=1)
    update(tx, hold, 10, HANDOVER)
    expect(call(tx, "settle", hold, 10), late=True)


def test_a_direct_cancel_keeps_the_row(tx: Connection, clock: Clock) -> None:
    hold = reserve(tx, 10)
    update(tx, hold, 0, {"type": "cancelled", "cancel_reason": "direct"})
    row = ledger(tx, hold)
    expect(row, cost=0, expires_at=None, type="cancelled")
    assert row.metadata["cancelled_at"] == "2025-10-03T12:00:00.000000Z"
    expect(call(tx, "settle", hold, 3), status="actual", late=True, estimated_cost=10)


@pytest.mark.parametrize("end", [None, "settle", "cancel", "expire"])
def test_a_row_may_be_deleted_in_every_state(tx: Connection, clock: Clock, end: str | None) -> None:
    hold = in_state(tx, clock, end)
    tx.execute("DELETE FROM public.cost_tracking WHERE id = %s", [hold])
    assert total(tx) == 0
    fails(tx, "PB002", "settle", hold, 10)
    fails(tx, "PB002", "cancel", hold)


def test_a_direct_change_of_an_open_hold_is_an_extend(tx: Connection, clock: Clock) -> None:
    hold = reserve(tx, 10, p_metadata={"work": "order"})
    clock.advance(minutes=1)
    update(tx, hold, 15, {"type": "reservation", "note": "grown"})
    row = ledger(tx, hold)
    expect(row, cost=15, expires_at=NOON + timedelta(hours=1))
    assert row.metadata == {
        "type": "reservation",
        "note": "grown",
        "original_metadata": {"work": "order"},
        "requested_cost": "10",
        "estimated_cost": "15",
        "reserved_at": "2025-10-03T12:00:00.000000Z",
        "extended_at": "2025-10-03T12:01:00.000000Z",
    }


def test_other_columns_and_keys_of_an_ended_hold_may_change(tx: Connection, clock: Clock) -> None:
    hold = reserve(tx, 10)
    call(tx, "settle", hold, 7)
    before = ledger(tx, hold).metadata
    update(tx, hold, 7, {"type": "actual", "note": "checked"})
    assert ledger(tx, hold).metadata == {**before, "note": "checked"}


def test_what_the_row_keeps_cannot_be_overwritten(tx: Connection, clock: Clock) -> None:
    hold = reserve(tx, 10)
    forged = dict.fromkeys(["reserved_at", "estimated_cost", "requested_cost", "original_metadata", "late"], "forged")
    update(tx, hold, 7, {"type": "actual", **forged})
    assert "forged" not in str(ledger(tx, hold).metadata)


@pytest.mark.parametrize("value", ['"yes"', "7", "[]", "{}"])
def test_nonsense_under_the_keys_of_an_outcome_does_not_break_it(tx: Connection, clock: Clock, value: str) -> None:
    hold = reserve(tx, 10)
    update(tx, hold, 7, f'{{"type": "actual", "over_limit": {value}, "late": {value}}}')
    expect(call(tx, "settle", hold, 7), over_limit=False, late=False)


# ------------------------------------------------------------------------------------------------ holds: forbidden


def in_state(connection: Connection, clock: Clock, end: str | None) -> UUID:
    """A hold of 10 that is open, or was ended by this function; settled, it has cost 7."""
    hold = reserve(connection, 10)
    if end == "settle":
        call(connection, "settle", hold, 7)
    elif end == "cancel":
        call(connection, "cancel", hold)
    elif end == "expire":
        clock.advance(hours=1)
        call(connection, "expire")
    return hold


FORBIDDEN: list[tuple[str | None, str]] = [
    # From no state to one that is none.
    *((end, "metadata = NULL") for end in (None, "settle", "cancel", "expire")),
    *((end, "metadata = '{}'") for end in (None, "settle", "cancel", "expire")),
    *((end, """metadata = '{"type": null}'""") for end in (None, "settle")),
    *((end, "metadata = '[]'") for end in (None, "settle")),
    *((end, """metadata = '"actual"'""") for end in (None, "settle")),
    *((end, """metadata = '{"type": "Actual"}'""") for end in (None, "settle", "cancel", "expire")),
    (None, """cost = 5, metadata = '{"tokens": 7}'"""),
    # Identity stays.
    *((end, "id = gen_random_uuid()") for end in (None, "settle", "cancel", "expire")),
    *((end, "service_name = 'other'") for end in (None, "settle", "cancel", "expire")),
    *((end, "created_at = created_at + interval '1 day'") for end in (None, "settle", "cancel", "expire")),
    (None, """cost = 5, metadata = '{"type": "actual"}', service_name = 'other'"""),
    # The cost of what has ended stays.
    ("settle", "cost = 8"),
    ("settle", "cost = 0"),
    ("cancel", "cost = 1"),
    ("expire", "cost = 1"),
    ("settle", """cost = 8, metadata = '{"type": "actual"}'"""),
    # No way back, and none round about.
    ("settle", """metadata = '{"type": "reservation"}'"""),
    ("settle", """metadata = '{"type": "reservation"}', expires_at = now() + interval '1 day'"""),
    ("settle", """cost = 0, metadata = '{"type": "cancelled"}'"""),
    ("settle", """metadata = '{"type": "expired"}'"""),
    ("cancel", """metadata = '{"type": "reservation"}'"""),
    ("cancel", """metadata = '{"type": "expired"}'"""),
    ("expire", """metadata = '{"type": "reservation"}'"""),
    # A cancelled hold costs nothing.
    (None, """metadata = '{"type": "cancelled"}'"""),
    (None, """cost = 1, metadata = '{"type": "cancelled"}'"""),
    ("expire", """cost = 1, metadata = '{"type": "cancelled"}'"""),
]


@pytest.mark.parametrize(("end", "change"), FORBIDDEN, ids=str)
def test_what_the_states_forbid_is_rejected(tx: Connection, clock: Clock, end: str | None, change: str) -> None:
    hold = in_state(tx, clock, end)
    before = ledger(tx, hold)
    with failing(tx, "PB004") as caught:
        tx.execute(f"UPDATE public.cost_tracking SET {change} WHERE id = %s".encode(), [hold])
    assert str(hold) in (caught.value.diag.message_primary or "")
    assert ledger(tx, hold) == before


def test_the_expiry_of_a_hold_cannot_be_taken_away(tx: Connection) -> None:
    hold = reserve(tx, 10)
    tx.execute("UPDATE public.cost_tracking SET expires_at = NULL WHERE id = %s", [hold])
    assert ledger(tx, hold).expires_at is not None


# -------------------------------------------------------------------------------------- holds of the application's


def test_a_hold_that_is_inserted_directly_lapses_like_every_other(tx: Connection, clock: Clock) -> None:
    configure(tx, {"emergency_kill": 100, "reservation_ttl": "10 minutes"})
    tx.execute(
        """INSERT INTO public.cost_tracking (id, cost, service_name, metadata, created_at)
           VALUES (%s, 95, 'old', '{"type": "reservation", "original_metadata": {"a": 1}}', %s)""",
        ((hold := uuid4()), clock.now),
    )
    expect(ledger(tx, hold), expires_at=NOON + timedelta(minutes=10))
    expect(call(tx, "reserve", 10, "test"), reason="in_flight", retry_at=NOON + timedelta(minutes=10))
    clock.advance(minutes=10)
    expect(call(tx, "reserve", 10, "test"), reason="granted", current_total=0)
    expect(call(tx, "settle", hold, 3), estimated_cost=95, actual_cost=3, late=True)
    assert ledger(tx, hold).metadata["original_metadata"] == {"a": 1}


def test_without_a_configuration_it_gets_the_usual_hour(tx: Connection, clock: Clock) -> None:
    configure(tx, None)
    hold = spend(tx, 95, metadata={"type": "reservation"})
    expect(ledger(tx, hold), expires_at=NOON + timedelta(hours=1))


@pytest.mark.parametrize("value", ['"abc"', "9", "null", "[1]", '{"a": 1}'])
@pytest.mark.parametrize("key", ["estimated_cost", "requested_cost", "reserved_at", "late", "over_limit", "settled_at"])
def test_what_it_has_under_our_keys_is_not_ours(tx: Connection, today: Clock, key: str, value: str) -> None:
    holds = [insert(tx, 5, f'{{"type": "reservation", "{key}": {value}}}') for _ in range(3)]
    is_empty(tx, "SELECT * FROM budget.invariants")
    outcome = call(tx, "cancel", holds[0])
    expect(outcome, status="cancelled", estimated_cost=5, late=False, over_limit=False)
    expect(call(tx, "settle", holds[1], 4), status="actual", estimated_cost=5, actual_cost=4, late=False)
    expect(call(tx, "extend", holds[2], 6), reason="granted")
    fails(tx, "PB003", "reserve", 5, "test-setup", p_reservation_id=holds[2])


def test_it_may_be_written_above_the_limit(tx: Connection, today: Clock) -> None:
    insert(tx, 500, {"type": "reservation"})
    expect(call(tx, "reserve", 1, "test"), reason="in_flight", current_total=500)
