"""A call comes by a bounded number of pages, however much is in the day and whatever the planner knows of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.budgets.standing import set_budget
from tests.clock import Clock
from tests.rows import Connection, as_owner, call, reserve

HOLD = {"type": "reservation", "reserved_at": "2025-10-03T12:00:00Z", "estimated_cost": "0.0001"}
MANY = 10_000


def _write(tx: Connection, count: int, lapses_in: str | None) -> None:
    """So many holds, or spends, in one statement, which posts once: the next decision folds that in."""
    with as_owner(tx):
        tx.execute(
            """INSERT INTO cost_tracking (service_name, cost, metadata, created_at, expires_at)
               SELECT 'svc', 0.0001, %s, budget._now(), budget._now() + %s::interval FROM generate_series(1, %s)""",
            [json.dumps(HOLD if lapses_in else {}), lapses_in, count],
        )
    reserve(tx, 0)


def _settle_all(tx: Connection) -> None:
    with as_owner(tx):
        tx.execute("""UPDATE cost_tracking SET metadata = metadata || '{"type": "actual"}' WHERE cost = 0.0001""")
    reserve(tx, 0)


def _pages(tx: Connection, query: str) -> int:
    """The pages that a query came by, those of the functions in it with it."""
    [explained] = tx.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}".encode()).fetchone() or [
        None
    ]
    top: dict[str, Any] = explained[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def _pages_of_calls(tx: Connection) -> dict[str, int]:
    hold = reserve(tx, 1)
    too_much = call(tx, "check", 0, "svc").remaining + Decimal("0.0001")
    return {
        "refusal": _pages(tx, f"SELECT * FROM budget.reserve({too_much}, 'svc')"),
        "reserve": _pages(tx, "SELECT * FROM budget.reserve(1, 'svc')"),
        "reserve_many": _pages(
            tx, """SELECT * FROM budget.reserve_many('[{"estimated_cost": 1, "service_name": "svc"}]')"""
        ),
        "extend": _pages(tx, f"SELECT * FROM budget.extend('{hold}', 2)"),
        "settle": _pages(tx, f"SELECT * FROM budget.settle('{hold}', 1)"),
        "settle for more": _pages(tx, f"SELECT * FROM budget.settle('{reserve(tx, 1)}', 2)"),
        "cancel": _pages(tx, f"SELECT * FROM budget.cancel('{reserve(tx, 1)}')"),
    }


@pytest.mark.proof
@pytest.mark.parametrize(
    ("lapses_in", "lapsed"),
    [(None, 0), ("30 minutes", 0), ("30 minutes", 50)],
    ids=["spend", "holds", "holds, and some that have lapsed"],
)
@pytest.mark.parametrize("settled", [False, True], ids=["as they are", "changed since"])
def test_a_call_comes_by_as_few_pages_in_a_full_day(
    tx: Connection, clock: Clock, lapses_in: str | None, lapsed: int, settled: bool
) -> None:
    set_budget(tx, "svc", 1000, dimension="service")
    # What is planned now, with an empty ledger, is planned for the session.
    _write(tx, lapsed, "1 second")
    clock.advance(seconds=2)
    few = _pages_of_calls(tx)
    _write(tx, MANY, lapses_in)
    if settled:  # in this transaction, as under a long one of another's, nothing removes what indexes have of the rows
        _settle_all(tx)
        few.pop("refusal")  # it looks for the holds that lapse first among them
    many = _pages_of_calls(tx)
    assert {name: many[name] <= 1.5 * pages + 20 for name, pages in few.items()} == dict.fromkeys(few, True), (
        few,
        many,
    )


def test_a_batch_for_many_members_does_not_look_for_lapsed_holds_for_each(tx: Connection, clock: Clock) -> None:
    set_budget(tx, "svc", 1000, dimension="service")

    def pages(name: str) -> int:
        requests = [{"estimated_cost": "0.01", "service_name": f"{name} {n}"} for n in range(100)]
        return _pages(tx, f"SELECT * FROM budget.reserve_many('{json.dumps(requests)}')")

    *_, few = (pages(f"none has lapsed {n}") for n in range(4))  # dead rows of this transaction make it more at first
    _write(tx, 90, "1 second")
    clock.advance(seconds=2)
    assert pages("some have lapsed") <= 1.1 * few
