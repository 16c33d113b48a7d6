"""budget.settle_many: what one by one would have been settled, in one go."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.budgets.batches import Element, minutes, one_by_one, refuses, reserve_many, settle_many, state
from tests.budgets.standing import call_as_owner, set_budget
from tests.clock import NOON, Clock
from tests.conftest import Connect
from tests.rows import Connection, as_owner, call, configure, escalations, expect, ledger, one, reserve, spend, total

IDS = [str(UUID(int=n)) for n in range(1, 9)]
UNKNOWN = str(UUID(int=99))
SPEND = str(UUID(int=98))


def settled(costs: dict[str, Any]) -> list[Element]:
    return [{"reservation_id": hold, "actual_cost": cost} for hold, cost in costs.items()]


@pytest.fixture
def holds(caller: Connection, clock: Clock) -> list[str]:
    """Eight holds of 5 under a limit of 100, by their ids: a day's first four and the next day's last four."""
    batch = [{"estimated_cost": 5, "service_name": "svc", "reservation_id": hold, "ttl": minutes(1440)} for hold in IDS]
    reserve_many(caller, batch[:4])
    clock.advance(hours=18)
    reserve_many(caller, batch[4:])
    return IDS


@pytest.mark.parametrize("slots", [1, 3])
@given(
    settlements=st.lists(
        st.fixed_dictionaries(
            {
                "reservation_id": st.sampled_from(IDS),
                "actual_cost": st.sampled_from(["0", "4.999999999999", "5", "5.000000000001", "12"]),
            },
            optional={"metadata": st.sampled_from([{}, {"model": "large"}, {"late": True, "type": "forged"}])},
        ),
        max_size=10,
        unique_by=lambda settlement: settlement["reservation_id"],
    ),
    again=st.integers(0, 3),
    spent=st.sampled_from([0, 60, 95]),
    ended=st.sampled_from(["", "cancel", "expire", "settle"]),
    keep=st.booleans(),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_it_is_what_one_by_one_would_have_been(
    tx: Connection,
    clock: Clock,
    *,
    slots: int,
    settlements: list[Element],
    again: int,
    spent: int,
    ended: str,
    keep: bool,
) -> None:
    """But for the totals on the way, which the batch does not pass through: it may reach fewer thresholds.

    Nor does a spend here exceed its estimate where the day is near its limit: what over_limit goes by is another test.
    """
    clock.set(NOON)
    if spent:
        settlements = [s | {"actual_cost": min(s["actual_cost"], "5", key=Decimal)} for s in settlements]
    if ended == "settle":
        settlements = [s | ({"actual_cost": "5"} if s["reservation_id"] in IDS[2:5] else {}) for s in settlements]
    settlements += settlements[:again]
    with tx.transaction(force_rollback=True):
        tx.execute("SET LOCAL ROLE app")
        if keep:
            call_as_owner(tx, "set_limits", {"on_expiry": "keep"})
        set_budget(tx, "team", 60, "team", slots=slots, soft_limits=[10, 40])
        call_as_owner(tx, "set_budget", "daily", None, p_slots=slots)
        for n, hold in enumerate(IDS):
            team: dict[str, object] = {"team": ["alpha", "beta"][n % 2]}
            reserve(tx, 5, "svc", p_reservation_id=hold, p_metadata=team, p_ttl=minutes(60 * (n + 1)))
        clock.advance(hours=3)  # three have lapsed
        if ended == "expire":
            call_as_owner(tx, "expire")
        elif ended:
            for hold in IDS[2:5]:
                call(tx, ended, hold, *([5] if ended == "settle" else []))
        spend(tx, spent)
        with tx.transaction(force_rollback=True):
            wanted, wanted_state = one_by_one(tx, "settle", settlements), state(tx)
        for _ in range(2):  # the second is a repeat
            assert settle_many(tx, settlements) == wanted
            now = state(tx)
            assert set(now.pop("escalations")) <= set(wanted_state["escalations"])
            assert now.items() <= wanted_state.items()


@pytest.mark.parametrize(
    ("costs", "spent", "over"),
    [
        ([5, 5, 5, 5], 80, [False, False, False, False]),
        ([5, 5, 6, 4], 80, [False, False, False, False]),
        ([5, 5, 6, 5], 80, [False, False, True, False]),
        ([0, 5, 10, 6], 80, [False, False, True, True]),
        ([0, 5, 10, 5], 80, [False, False, False, False]),
        ([5, 5, 5, 5], 200, [False, False, False, False]),
    ],
)
def test_over_limit_goes_by_the_day_as_the_whole_batch_leaves_it(
    caller: Connection, clock: Clock, holds: list[str], *, costs: list[int], spent: int, over: list[bool]
) -> None:
    """A spend within its estimate is never what put the day over. The next day is another one."""
    clock.advance(hours=-18)
    spend(caller, spent)
    clock.advance(hours=18)
    outcomes = settle_many(caller, settled(dict(zip(holds, [*costs, 9, 5, 5, 0], strict=True))))
    assert [outcome.over_limit for outcome in outcomes] == [*over, False, False, False, False]
    overrun = [e.subject for e in escalations(caller) if e.kind == "budget_overrun"]
    assert overrun == [hold for hold, was_over in zip(holds, over, strict=False) if was_over]


def test_the_caps_of_each_day_are_escalated_once(caller: Connection, holds: list[str]) -> None:
    settle_many(caller, settled(dict.fromkeys(holds, 14)))
    reached = [(e.kind, e.day) for e in escalations(caller) if e.kind.startswith("budget_daily")]
    caps = ("budget_daily_hard_cap", "budget_daily_soft_cap")
    assert sorted(reached) == [(cap, day) for cap in caps for day in ("2025-10-03", "2025-10-04")]


def test_a_batch_is_one_posting_to_each_balance(caller: Connection, holds: list[str]) -> None:
    with as_owner(caller):
        before = one(caller, "SELECT count(*) AS size FROM budget.postings").size
    settle_many(caller, settled(dict.fromkeys(holds, 4)))
    with as_owner(caller):
        postings = caller.execute("SELECT p.amount FROM budget.postings AS p OFFSET %s", [before]).fetchall()
    assert postings == [(-4,), (-4,)]


def test_the_outcomes_come_in_the_order_given(caller: Connection, holds: list[str]) -> None:
    order = [holds[n] for n in (3, 0, 7, 2)]
    outcomes = settle_many(caller, settled({hold: n for n, hold in enumerate(order)}))
    assert [(str(o.reservation_id), o.actual_cost) for o in outcomes] == [(hold, n) for n, hold in enumerate(order)]


def test_repeating_it_changes_nothing(caller: Connection, clock: Clock, holds: list[str]) -> None:
    batch = settled(dict.fromkeys(holds, 4))
    first = settle_many(caller, batch)
    before = state(caller)
    clock.advance(minutes=1)
    assert settle_many(caller, [s | {"metadata": {"model": "large"}} for s in batch]) == first
    assert state(caller) == before


@pytest.mark.parametrize("cost", ["0.1", "0.100000000001", "0.1000000000001"])
@pytest.mark.parametrize("as_text", [True, False])
def test_money_is_exact_as_a_number_and_as_text(caller: Connection, holds: list[str], cost: str, as_text: bool) -> None:
    amount = f'"{cost}"' if as_text else cost
    outcome = call(caller, "settle_many", f'[{{"reservation_id": "{holds[0]}", "actual_cost": {amount}}}]')
    assert outcome == call(caller, "settle", holds[0], Decimal(cost))


def test_while_the_limits_are_broken_nobody_knows_whether_it_is_over(caller: Connection, holds: list[str]) -> None:
    configure(caller, None)
    outcomes = settle_many(caller, settled({holds[0]: 1000, holds[1]: 1}))
    assert [(o.over_limit, o.actual_cost) for o in outcomes] == [(None, 1000), (None, 1)]


def test_an_empty_batch_has_no_outcome(caller: Connection) -> None:
    assert settle_many(caller, []) == []


def test_at_most_10000(caller: Connection) -> None:
    assert refuses(caller, "22023", "settle_many", settled({UNKNOWN: 1}) * 10_001) == "It has 10001 elements."


WRONG: list[tuple[str, Any, str]] = [
    ("22023", 5, "it is of type number"),
    ("22023", {"meta": {}}, "unknown: meta"),
    ("22023", {"actual_cost": None}, "The amount is null."),
    ("22023", {"actual_cost": "a lot"}, ""),
    ("22003", {"actual_cost": "-Infinity"}, "The amount is -Infinity."),
    ("22023", {"metadata": 5}, "It is of type number."),
    ("22023", {"reservation_id": 5}, ""),
    (
        "PB002",
        {"reservation_id": None},
        "No such row is in the ledger, or the row is plain spend that never was a hold.",
    ),
    ("PB002", {"reservation_id": UNKNOWN}, "never was a hold."),
    ("PB002", {"reservation_id": SPEND}, "never was a hold."),
    ("PB004", {"reservation_id": IDS[7]}, "In the ledger: actual at cost 3. Given: cost 1."),
    ("PB004", {"reservation_id": IDS[0]}, "In the ledger: actual at cost 2. Given: cost 1."),
]


@pytest.mark.parametrize(("sqlstate", "wrong", "detail"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_element_is_named_and_nothing_is_settled(
    caller: Connection, holds: list[str], sqlstate: str, wrong: Any, detail: str
) -> None:
    call(caller, "record", 1, "svc", p_id=SPEND)
    call(caller, "settle", holds[7], 3)
    before = total(caller)
    batch: list[Any] = settled({holds[0]: 2, holds[1]: 1, holds[2]: 1})
    batch[2] = batch[2] | wrong if isinstance(wrong, dict) else wrong
    said = refuses(caller, sqlstate, "settle_many", batch)
    assert said.startswith("p_settlements -> 2")
    assert said.endswith(detail)
    assert {ledger(caller, UUID(hold)).type for hold in holds[:7]} == {"reservation"}
    assert total(caller) == before


@pytest.mark.parametrize("level", list(psycopg.IsolationLevel))
def test_it_works_at_any_isolation_level(connect: Connect, level: psycopg.IsolationLevel) -> None:
    connection = connect(role="app")
    holds = [reserve(connection, 1) for _ in range(2)]
    connection.set_isolation_level(level)
    assert len(settle_many(connection, settled({str(hold): 1 for hold in holds}))) == 2


def test_its_commit_is_durable_and_the_callers_lock_timeout_is_left(caller: Connection, holds: list[str]) -> None:
    caller.execute("SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '1min'")
    settle_many(caller, settled({holds[0]: 1}))
    expect(
        one(caller, "SELECT current_setting('synchronous_commit') AS s, current_setting('lock_timeout') AS l"),
        s="on",
        l="1min",
    )
