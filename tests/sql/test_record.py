"""budget.record: spend that had no hold. The money is gone, so that nothing refuses it."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

from tests.clock import Clock
from tests.rows import (
    Connection,
    as_owner,
    call,
    configure,
    expect,
    fails,
    ledger,
    ledger_size,
    reserve,
    spend,
    total,
)


def test_writes_the_spend(caller: Connection, clock: Clock) -> None:
    spend_id = uuid4()
    expect(
        call(
            caller,
            "record",
            p_actual_cost=Decimal("1.50"),
            p_service_name="batch",
            p_metadata={"model": "small"},
            p_id=spend_id,
        ),
        reservation_id=spend_id,
        status="actual",
        estimated_cost=None,
        actual_cost=Decimal("1.50"),
        over_limit=False,
        late=False,
    )
    expect(
        ledger(caller, spend_id),
        service_name="batch",
        cost=Decimal("1.50"),
        created_at=clock.now,
        expires_at=None,
        metadata={
            "type": "actual",
            "original_metadata": {"model": "small"},
            "recorded_at": "2025-10-03T12:00:00.000000Z",
            "over_limit": False,
        },
    )
    assert total(caller) == Decimal("1.50")


@pytest.mark.parametrize(
    ("spent", "actual", "over_limit"),
    [(0, 100, False), (60, 40, False), (60, Decimal("40.000000000001"), True), (100, 1, True), (0, 5000, True)],
)
def test_is_not_refused_over_the_limit_but_says_so(
    caller: Connection, clock: Clock, spent: int, actual: Decimal, over_limit: bool
) -> None:
    spend(caller, spent)
    expect(call(caller, "record", actual, "test"), over_limit=over_limit, actual_cost=actual)
    assert total(caller) == spent + actual


def test_open_holds_count_towards_over_limit_and_lapsed_ones_do_not(caller: Connection, clock: Clock) -> None:
    reserve(caller, 60)
    expect(call(caller, "record", 41, "test"), over_limit=True)
    clock.advance(hours=1)
    expect(call(caller, "record", 59, "test"), over_limit=False)


def test_is_not_refused_while_frozen(caller: Connection) -> None:
    with as_owner(caller):
        call(caller, "freeze", "stop")
    expect(call(caller, "record", 5, "test"), status="actual", over_limit=False)


def test_repeating_it_with_its_id_books_once(caller: Connection, clock: Clock) -> None:
    spend_id = uuid4()
    first = call(caller, "record", Decimal("120.0000000000001"), "test", {"a": 1}, spend_id)
    configure(caller, {"emergency_kill": 1000})
    clock.advance(hours=30)
    assert call(caller, "record", Decimal("120.000000000001"), "test", {"a": 1}, spend_id) == first
    assert ledger_size(caller) == 1
    assert first.over_limit is True


@pytest.mark.parametrize(
    ("actual", "service", "metadata"), [(6, "test", {"a": 1}), (5, "other", {"a": 1}), (5, "test", {"a": 2})]
)
def test_other_arguments_with_the_same_id_are_an_error_that_shows_both(
    caller: Connection, actual: int, service: str, metadata: dict[str, object]
) -> None:
    spend_id = uuid4()
    call(caller, "record", 5, "test", {"a": 1}, spend_id)
    diag = fails(caller, "PB003", "record", actual, service, metadata, spend_id)
    assert "5 of service test" in diag.message_detail
    assert f"Now: {actual} of service {service}, metadata {metadata}".replace("'", '"') in diag.message_detail


def test_an_id_of_something_else_is_taken(caller: Connection) -> None:
    for taken in (reserve(caller, 5, "test"), spend(caller, 5, service="test", metadata={"type": "actual"})):
        fails(caller, "PB003", "record", 5, "test", {}, taken)
        expect(ledger(caller, taken), cost=5)


def test_spend_without_an_id_is_booked_each_time(caller: Connection) -> None:
    ids = {call(caller, "record", 5, "test").reservation_id for _ in range(3)}
    assert len(ids) == 3
    assert total(caller) == 15
