"""budget.reserve_many: what one by one would have been granted, in one go."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.budgets.batches import Element, minutes, one_by_one, refuses, reserve_many, state
from tests.budgets.standing import call_as_owner, set_budget
from tests.clock import Clock
from tests.conftest import Connect
from tests.examples import postgrest
from tests.rows import (
    Connection,
    as_owner,
    call,
    configure,
    expect,
    failing,
    fails,
    ledger,
    ledger_size,
    one,
    reserve,
    spend,
    total,
)

TICK = Decimal("0.000000000001")
IDS = [UUID(int=n) for n in range(1, 9)]
OPEN, ENDED = IDS[:2]
"""What stands in the ledger already: an open hold of 7 and one that was cancelled."""


@pytest.fixture
def app(tx: Connection) -> Connection:
    """`tx` as a plain role that may call the functions and nothing more."""
    tx.execute("SET LOCAL ROLE app")
    return tx


REQUESTS = st.fixed_dictionaries(
    {
        "estimated_cost": st.sampled_from(["0", "0.000000000001", "1", "7", "19.999999999999", "20", "45", "101"]),
        "service_name": st.sampled_from(["svc", "other", "architect"]),
        # An id that is made by the database is another one each time.
        "reservation_id": st.sampled_from([*map(str, IDS)]) | st.uuids(version=4).map(str),
    },
    optional={
        "metadata": st.sampled_from([{}, {"team": "alpha"}, {"team": "beta"}, {"team": "alpha", "user": "ada"}]),
        "ttl": st.sampled_from([minutes(1), minutes(90)]),
    },
)


def consistent(requests: list[Element]) -> list[Element]:
    """The same id with the same arguments: with others it is an error, which another test is about."""
    first: dict[str, Element] = {str(key): {"estimated_cost": "7", "service_name": "svc"} for key in (OPEN, ENDED)}
    batch = []
    for request in requests:
        before = first.setdefault(request["reservation_id"], request)
        batch.append(before | {"reservation_id": request["reservation_id"]})
    return batch


@pytest.mark.parametrize("slots", [1, 3])
@given(
    requests=st.lists(REQUESTS, max_size=14).map(consistent),
    spent=st.sampled_from([0, 35, 80, 93, 120]),
    frozen=st.integers(0, 9).map(lambda n: n == 0),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_it_is_what_one_by_one_would_have_been(
    app: Connection, clock: Clock, *, slots: int, requests: list[Element], spent: int, frozen: bool
) -> None:
    with app.transaction(force_rollback=True):
        set_budget(app, "team", 60, "team", slots=slots, soft_limits=[10, 40])
        set_budget(app, "user", 25, "user", period="hour", enforcement="warn")
        set_budget(app, "service", 50, "service", member="svc", period="month")
        call_as_owner(app, "set_budget", "daily", None, p_slots=slots)
        for hold in (OPEN, ENDED):
            reserve(app, 7, "svc", p_reservation_id=hold)
        call(app, "cancel", ENDED)
        spend(app, spent)
        if frozen:
            call_as_owner(app, "freeze", "stop")

        with app.transaction(force_rollback=True):
            wanted, wanted_state = one_by_one(app, "reserve", requests), state(app)
        assert reserve_many(app, requests) == wanted
        assert state(app) == wanted_state


def asked(count: int, **differing: object) -> list[Element]:
    """So many requests of 1, of which the last has these keys beside."""
    requests: list[Element] = [{"estimated_cost": 1, "service_name": "svc"} for _ in range(count)]
    requests[-1] |= differing
    return requests


def test_each_is_granted_while_the_room_lasts(caller: Connection, clock: Clock) -> None:
    spend(caller, 95)
    costs = [2, 4, 1, 3, 2, 1]
    verdicts = reserve_many(caller, [{"estimated_cost": cost, "service_name": "svc"} for cost in costs])
    assert [(v.reason, v.current_total, v.remaining) for v in verdicts] == [
        ("granted", 95, 5),
        ("in_flight", 97, 3),
        ("granted", 97, 3),
        ("in_flight", 98, 2),
        ("granted", 98, 2),
        ("in_flight", 100, 0),
    ]
    assert total(caller) == 100


def test_a_freeze_refuses_it_all(caller: Connection, clock: Clock) -> None:
    call_as_owner(caller, "freeze", "stop")
    assert [v.reason for v in reserve_many(caller, asked(3))] == ["frozen"] * 3


def test_a_batch_that_fits_is_one_instant_and_one_posting_to_each_budget(caller: Connection) -> None:
    set_budget(caller, "team", 60, "team")
    batch = [request | {"metadata": {"team": "alpha"}} for request in asked(50)]
    verdicts = reserve_many(caller, batch)
    assert [v.current_total for v in verdicts] == list(range(50))
    with as_owner(caller):
        postings = caller.execute("SELECT p.budget, p.member, p.amount FROM budget.postings AS p ORDER BY 1")
        assert postings.fetchall() == [("daily", "*", 50), ("team", "alpha", 50)]
        instants = caller.execute("SELECT count(DISTINCT l.created_at), count(*) FROM public.cost_tracking AS l")
        assert instants.fetchone() == (1, 50)


@pytest.mark.parametrize("cost", ["0.1", "0.100000000001", "0.1000000000001", "9.999999999999"])
@pytest.mark.parametrize("as_text", [True, False])
def test_money_is_exact_as_a_number_and_as_text(caller: Connection, clock: Clock, cost: str, as_text: bool) -> None:
    amount = f'"{cost}"' if as_text else cost
    verdict = call(caller, "reserve_many", f'[{{"service_name": "svc", "estimated_cost": {amount}}}]')
    held = ledger(caller, verdict.reservation_id).cost
    assert held == ledger(caller, call(caller, "reserve", Decimal(cost), "svc").reservation_id).cost
    assert held - Decimal(cost) < TICK


def test_postgrest_takes_it_as_json(caller: Connection, clock: Clock) -> None:
    requests = [{"estimated_cost": 2.5, "service_name": "svc"}, {"estimated_cost": "98", "service_name": "svc"}]
    verdicts = json.loads(postgrest.call(caller, "budget", "reserve_many", {"p_requests": requests}))
    assert [(v["reason"], v["remaining"]) for v in verdicts] == [("granted", 100), ("in_flight", 97.5)]
    holds = [{"reservation_id": verdicts[0]["reservation_id"], "actual_cost": 2}]
    [outcome] = json.loads(postgrest.call(caller, "budget", "settle_many", {"p_settlements": holds}))
    assert (outcome["status"], outcome["actual_cost"]) == ("actual", 2)
    with failing(caller, "22023") as caught:
        postgrest.call(caller, "budget", "reserve_many", {"p_requests": json.dumps(requests)})
    assert caught.value.diag.message_detail == "It is of type string."


def test_an_empty_batch_has_no_verdict(caller: Connection) -> None:
    assert reserve_many(caller, []) == []


def test_at_most_10000(caller: Connection) -> None:
    configure(caller, {"emergency_kill": 20000})
    assert refuses(caller, "22023", "reserve_many", asked(10_001)) == "It has 10001 elements."
    verdicts = reserve_many(caller, asked(10_000))
    assert (len(verdicts), verdicts[-1].current_total, total(caller)) == (10_000, 9_999, Decimal(10_000))


@pytest.mark.parametrize(
    ("batch", "detail"), [(None, "It is null."), ({}, "It is of type object."), ("x", "It is of type string.")]
)
def test_it_is_an_array(caller: Connection, batch: object, detail: str) -> None:
    argument = None if batch is None else Jsonb(batch)
    assert fails(caller, "22023", "reserve_many", argument).message_detail == detail


WRONG: list[tuple[str, Any, str]] = [
    ("22023", 5, "it is of type number"),
    ("22023", None, "it is of type null"),
    ("22023", ["svc", 1], "it is of type array"),
    ("22023", {"metdata": {}, "cost": 1}, "unknown: cost, metdata"),
    ("22023", {"estimated_cost": None}, "The amount is null."),
    ("22023", {"estimated_cost": "a lot"}, ""),
    ("22023", {"estimated_cost": True}, ""),
    ("22023", {"estimated_cost": [1]}, ""),
    ("22003", {"estimated_cost": "NaN"}, "The amount is NaN."),
    ("22003", {"estimated_cost": -1}, "The amount is -1."),
    ("22003", {"estimated_cost": 10**15}, "The amount is 1000000000000000."),
    ("22003", {"estimated_cost": "1e200000"}, ""),
    ("22023", {"service_name": None}, "The name is null."),
    ("22023", {"service_name": ""}, "The name has 0 characters."),
    ("22023", {"service_name": "s" * 201}, "The name has 201 characters."),
    ("22023", {"service_name": ["svc"]}, "It is of type array."),
    ("22023", {"metadata": [1]}, "It is of type array."),
    ("22023", {"metadata": {"large": "x" * 65536}}, "It has 65549 bytes."),
    ("22023", {"reservation_id": "not an id"}, ""),
    ("22023", {"ttl": "25 hours"}, "It is 25:00:00."),
    ("22023", {"ttl": "0"}, "It is 00:00:00."),
    ("22023", {"ttl": "soon"}, ""),
    ("22023", {"ttl": "99999999999 years"}, ""),
]


@pytest.mark.parametrize(("sqlstate", "wrong", "detail"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_element_is_named_and_nothing_is_reserved(
    caller: Connection, sqlstate: str, wrong: Any, detail: str
) -> None:
    batch: list[Any] = asked(5)
    batch[3] = batch[3] | wrong if isinstance(wrong, dict) else wrong
    said = refuses(caller, sqlstate, "reserve_many", batch)
    assert said.startswith("p_requests -> 3")
    assert said.endswith(detail)
    assert ledger_size(caller) == 0


@pytest.mark.parametrize("key", ["metadata", "reservation_id", "ttl"])
def test_null_is_as_good_as_left_out(caller: Connection, clock: Clock, key: str) -> None:
    [verdict] = reserve_many(caller, asked(1, **{key: None}))
    expect(verdict, can_proceed=True)
    expect(ledger(caller, verdict.reservation_id), expires_at=verdict.expires_at)
    assert ledger(caller, verdict.reservation_id).metadata["original_metadata"] == {}


def test_an_id_with_other_arguments_undoes_the_batch(caller: Connection, clock: Clock) -> None:
    hold = str(reserve(caller, 2, "svc"))
    twice = str(OPEN)
    batches = [
        asked(3, reservation_id=hold),
        asked(3, reservation_id=twice) + asked(1, reservation_id=twice, estimated_cost=3),
    ]
    for batch in batches:
        refuses(caller, "PB003", "reserve_many", batch)
    assert total(caller) == 2


@pytest.mark.parametrize("limits", [None, {}, {"emergency_kill": "lots"}])
def test_broken_limits_refuse_it(caller: Connection, limits: Any) -> None:
    configure(caller, limits)
    refuses(caller, "PB005", "reserve_many", asked(2))


def test_it_needs_read_committed(connect: Connect) -> None:
    connection = connect(role="app", autocommit=False)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    assert refuses(connection, "PB001", "reserve_many", asked(2)) == "This transaction runs at REPEATABLE READ."


def test_its_commit_is_durable_and_the_callers_lock_timeout_is_left(caller: Connection) -> None:
    caller.execute("SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '1min'")
    reserve_many(caller, asked(2))
    expect(
        one(caller, "SELECT current_setting('synchronous_commit') AS s, current_setting('lock_timeout') AS l"),
        s="on",
        l="1min",
    )
