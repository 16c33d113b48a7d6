"""The driver's batches, through both clients."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import make_conninfo

import pgbudget
from pgbudget import Budget, Outcome, Request, Settlement, migrations
from tests.conftest import Connect
from tests.driver.conftest import Open, any_budget, budget, open_budget
from tests.race import Connection, terminate
from tests.rows import ledger, ledger_size, total

__all__ = ["any_budget", "budget", "open_budget"]


def test_many_are_reserved_and_settled(any_budget: Budget, db: Connection) -> None:
    requests = [
        Request(Decimal("60.5"), "svc", {"price": Decimal("0.10")}, ttl=timedelta(minutes=10)),
        Request(50, "svc"),
        Request(0.1, "other"),
    ]
    granted, refused, small = verdicts = any_budget.reserve_many(requests)
    assert [(v.reason, v.current_total, v.reservation_id) for v in verdicts] == [
        ("granted", 0, requests[0].reservation_id),
        ("in_flight", Decimal("60.5"), None),
        ("granted", Decimal("60.5"), requests[2].reservation_id),
    ]
    assert (bool(granted), bool(refused), small.remaining) == (True, False, Decimal("39.5"))
    row = ledger(db, granted.reservation_id)
    assert row.metadata["original_metadata"] == {"price": "0.10"}
    assert timedelta(minutes=9) < row.expires_at - datetime.now(timezone.utc) <= timedelta(minutes=10)
    assert ledger(db, small.reservation_id).cost == Decimal("0.1")

    first, last = requests[0].reservation_id, requests[2].reservation_id
    settlements = [Settlement(last, 1e-05), Settlement(first, Decimal("1.5"), {"tokens": 7})]
    assert any_budget.settle_many(settlements) == [
        Outcome(last, "actual", Decimal("0.1"), Decimal("0.00001"), False, False),
        Outcome(first, "actual", Decimal("60.5"), Decimal("1.5"), False, False),
    ]
    assert ledger(db, first).metadata["tokens"] == 7


def test_none_is_a_batch_too(budget: Budget) -> None:
    assert budget.reserve_many([]) == []
    assert budget.settle_many([]) == []


def test_a_request_that_is_sent_again_is_charged_once(budget: Budget, db: Connection) -> None:
    requests = [Request(1, "svc"), Request(2, "svc", reservation_id=uuid4())]
    assert [v.reason for v in budget.reserve_many(requests)] == ["granted", "granted"]
    assert [v.reason for v in budget.reserve_many(requests)] == ["replayed", "replayed"]
    assert total(db) == 3
    assert ledger_size(db) == 2


@pytest.mark.parametrize(
    ("wrong", "error", "detail"),
    [
        (Request(-1, "svc"), pgbudget.AmountOutOfRange, "p_requests -> 1: The amount is -1."),
        (Request(float("nan"), "svc"), pgbudget.AmountOutOfRange, "p_requests -> 1: The amount is NaN."),
        (Request(1, "svc", ttl=timedelta(days=2)), pgbudget.InvalidArgument, "p_requests -> 1: It is 48:00:00."),
    ],
)
def test_what_is_wrong_with_one_says_which(
    open_budget: Open, db: Connection, wrong: Request, error: type[pgbudget.BudgetError], detail: str
) -> None:
    with pytest.raises(error) as caught:
        open_budget().reserve_many([Request(1, "svc"), wrong])
    assert caught.value.detail == detail
    assert ledger_size(db) == 0


def test_what_is_no_amount_is_not_sent(empty_dsn: str) -> None:
    cost: Any = "1"
    with pytest.raises(TypeError, match="an amount is"):
        Budget(empty_dsn).reserve_many([Request(cost, "svc")])
    with pytest.raises(TypeError, match="an amount is"):
        Budget(empty_dsn).settle_many([Settlement(uuid4(), cost)])


def test_what_is_no_request_is_not_sent(empty_dsn: str) -> None:
    request: Any = {"estimated_cost": 1, "service_name": "svc"}
    with pytest.raises(TypeError, match="a batch is of Request or Settlement, not dict"):
        Budget(empty_dsn).reserve_many([request])


def test_without_the_series_it_says_how_to_apply_it(empty_dsn: str) -> None:
    migrations.migrate(empty_dsn)
    with Budget(empty_dsn) as budget, pytest.raises(pgbudget.DatabaseBehind) as caught:
        budget.reserve_many([Request(1, "svc")])
    assert "no function budget.reserve_many" in caught.value.message
    assert caught.value.hint == "pgbudget migrate --series budgets"


def test_settlements_that_cannot_be_delivered_are_handed_back(open_budget: Open, db: Connection) -> None:
    connection = open_budget.connection()
    lost = open_budget(connection)
    holds = [request.reservation_id for request in (Request(1, "svc"), Request(1, "svc"))]
    lost.reserve_many([Request(1, "svc", reservation_id=hold) for hold in holds])
    terminate(db, connection.info.backend_pid)
    settlements = [Settlement(hold, Decimal("0.5")) for hold in holds]
    with pytest.raises(pgbudget.UndeliveredSettlements, match="could not be delivered") as caught:
        lost.settle_many(settlements)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (copy.function, copy.arguments) == ("settle_many", {"settlements": settlements})
    again = open_budget()
    for _ in range(2):  # twice is harmless
        assert [(o.reservation_id, o.status) for o in copy.deliver(again)] == [(hold, "actual") for hold in holds]
    assert total(db) == 1


def test_the_wrong_hold_is_no_undelivered_settlement(budget: Budget) -> None:
    with pytest.raises(pgbudget.UnknownReservation) as caught:
        budget.settle_many([Settlement(UUID(int=1), 1)])
    assert str(caught.value.detail).startswith("p_settlements -> 0: ")


def test_a_plain_caller_may(open_budget: Open, app_role: str) -> None:
    budget = open_budget(make_conninfo(open_budget.dsn, user=app_role))
    [verdict] = budget.reserve_many([Request(1, "svc")])
    assert verdict.reservation_id
    [outcome] = budget.settle_many([Settlement(verdict.reservation_id, 1)])
    assert outcome.status == "actual"


def test_a_batch_that_has_to_wait_is_repeated(open_budget: Open, connect: Connect) -> None:
    """As one reservation is, under the ids of its requests."""
    budget = open_budget(make_conninfo(open_budget.dsn, options="-clock_timeout=50"), attempts=2)
    holder = connect(autocommit=False)
    holder.execute("SELECT FROM budget.reserve(1, 'svc')")
    with pytest.raises(pgbudget.LockTimeout):
        budget.reserve_many([Request(1, "svc")])
    holder.rollback()
    assert budget.reserve_many([Request(1, "svc")])
