"""Spending by hand: what the commands print, and the exit code that says whether there was room."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pgbudget import Budget
from tests.cli.command import UUID as ANY_ID
from tests.cli.command import invoke, picture
from tests.rows import configure, escalations, ledger, ledger_size
from tests.series import by_series

Connection = psycopg.Connection[Any]
NO_ROOM = 4


def held(dsn: str, *options: str, estimate: str = "2.50") -> UUID:
    """The id of a hold that was just made by hand."""
    done = invoke("reserve", estimate, "nightly", *options, dsn=dsn)
    assert (done.code, done.err) == (0, "")
    found = ANY_ID.search(done.out)
    assert found
    return UUID(found[0])


# Verdicts


def test_a_hold_is_made_and_settled(dsn: str, db: Connection) -> None:
    done = invoke("reserve", "2.50", "nightly", "--ttl", "15m", "--metadata", '{"rate": 0.1}', dsn=dsn)
    assert (done.code, done.err) == (0, "")
    assert picture(done.out).splitlines() == [
        "granted: it is held, make the call",
        "  hold         ID",
        "  lapses       in SPAN, at TIME",
        "  before this  0.00 of 100.00 settled and held, 100.00 free (daily)",
    ]
    [hold] = ANY_ID.findall(done.out)
    row = ledger(db, UUID(hold))
    assert (row.expires_at - row.created_at).total_seconds() == 15 * 60
    assert row.metadata["original_metadata"] == {"rate": 0.1}

    done = invoke("settle", hold, "3.1", "--metadata", '{"tokens": 7}', dsn=dsn)
    assert picture(done.out).splitlines() == ["actual", "  id        ID", "  estimate  2.50", "  cost      3.10"]
    row = ledger(db, UUID(hold))
    assert (str(row.cost), row.metadata["tokens"]) == ("3.1", 7)


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        ("60", "in_flight: it would fit once open holds end"),
        ("90", "exhausted: what is settled leaves no room"),
        ("101", "too_large: it is more than the limit itself"),
    ],
)
@pytest.mark.parametrize("command", ["reserve", "check"])
def test_a_refusal_says_why_and_has_an_exit_code_of_its_own(
    dsn: str, db: Connection, command: str, estimate: str, reason: str
) -> None:
    Budget(db).record(15, "svc")
    Budget(db).reserve(30, "svc")
    done = invoke(command, estimate, "nightly", dsn=dsn)
    assert (done.code, done.err) == (NO_ROOM, "")
    first, before, *rest = picture(done.out).splitlines()
    assert first == reason
    assert before == "  before this  45.00 of 100.00 settled and held, 55.00 free (daily)"
    assert rest == ([] if "too_large" in reason else ["  try again    in SPAN, at TIME"])
    answer = json.loads(invoke(command, estimate, "nightly", "--json", dsn=dsn).out)
    assert (answer["can_proceed"], answer["reason"]) == (False, reason.partition(":")[0])
    assert ledger_size(db) == 2


def test_check_holds_nothing(dsn: str, db: Connection) -> None:
    done = invoke("check", "100", "nightly", dsn=dsn)
    assert (done.code, done.out.splitlines()[0]) == (0, "granted: it would be held now")
    assert json.loads(invoke("check", "100", "nightly", "--json", dsn=dsn).out)["remaining"] == "100"
    assert ledger_size(db) == 0


def test_a_hold_of_ones_own_id_is_charged_once(dsn: str, db: Connection) -> None:
    key = str(uuid4())
    assert held(dsn, "--id", key) == held(dsn, "--id", key) == UUID(key)
    assert ledger_size(db) == 1
    invoke("cancel", key, dsn=dsn)
    done = invoke("reserve", "2.50", "nightly", "--id", key, dsn=dsn)
    assert (done.code, done.out.splitlines()[0]) == (
        NO_ROOM,
        "ended: the hold of this id has ended; do not spend on it, take a new id",
    )


def test_the_advisory_lock_lets_direct_writers_go_on(dsn: str, db: Connection) -> None:
    with psycopg.connect(dsn) as writer:
        writer.execute("INSERT INTO public.cost_tracking (service_name, cost) VALUES ('direct', 1)")
        held(dsn, "--advisory")
        blocked = invoke("reserve", "1", "nightly", dsn=f"{dsn}&options=-clock_timeout%3D50")
    assert blocked.code == by_series(core=3, budgets=0)  # with budgets both variants let them
    assert ("lock" in blocked.err) == (blocked.code == 3)


def test_a_hold_is_extended_or_not(dsn: str, db: Connection) -> None:
    hold = held(dsn)
    expiry = ledger(db, hold).expires_at
    done = invoke("extend", str(hold), "--estimate", "20", "--ttl", "5 hours", dsn=dsn)
    assert (done.code, done.out.splitlines()[0]) == (0, "granted: it is held, make the call")
    assert ledger(db, hold).cost == 20
    assert (ledger(db, hold).expires_at - expiry).total_seconds() > 3 * 3600
    assert invoke("extend", str(hold), "--estimate", "1000", dsn=dsn).code == NO_ROOM
    assert ledger(db, hold).cost == 20


def test_a_frozen_budget_refuses(dsn: str, db: Connection) -> None:
    Budget(db).freeze("the bill")
    done = invoke("reserve", "1", "nightly", dsn=dsn)
    assert (done.code, done.out.splitlines()[0]) == (
        NO_ROOM,
        "frozen: somebody pulled the kill switch; `pgbudget status` says why",
    )


# Outcomes


def test_a_hold_is_cancelled(dsn: str, db: Connection) -> None:
    hold = held(dsn)
    done = invoke("cancel", str(hold), "--reason", "it failed", dsn=dsn)
    assert picture(done.out).splitlines() == ["cancelled", "  id        ID", "  estimate  2.50", "  cost      0.00"]
    assert ledger(db, hold).metadata["cancel_reason"] == "it failed"


def test_spend_without_a_hold_is_booked_once_under_its_id(dsn: str, db: Connection) -> None:
    key = str(uuid4())
    for _ in range(2):
        done = invoke("record", "150.000000000001", "import", "--id", key, dsn=dsn)
        assert picture(done.out).splitlines() == [
            "actual",
            "  id          ID",
            "  cost        150.000000000001",
            "  over limit  this spend left the day above its limit",
        ]
    answer = json.loads(invoke("record", "1", "import", "--json", dsn=dsn).out)
    assert (answer["status"], answer["actual_cost"], answer["over_limit"]) == ("actual", "1", True)
    assert ledger_size(db) == 2


def test_late_spend_is_called_late(dsn: str, db: Connection) -> None:
    hold = held(dsn)
    invoke("cancel", str(hold), dsn=dsn)
    done = invoke("settle", str(hold), "2", dsn=dsn)
    assert done.out.splitlines()[-1] == "  late      the hold had ended or lapsed before"
    assert json.loads(invoke("settle", str(hold), "2", "--json", dsn=dsn).out)["late"] is True


@pytest.mark.parametrize(
    ("options", "marked"), [((), 1000), (("--limit", "2"), 2), (("--limit", "400", "--all"), 1001)]
)
def test_lapsed_holds_are_marked(dsn: str, db: Connection, options: tuple[str, ...], marked: int) -> None:
    db.execute(
        """INSERT INTO public.cost_tracking (service_name, cost, metadata)
           SELECT 'svc', 0.5, '{"type": "reservation"}' FROM generate_series(1, 1001)"""
    )
    db.execute("UPDATE public.cost_tracking SET expires_at = clock_timestamp()")
    done = invoke("expire", *options, dsn=dsn)
    assert (done.code, done.out) == (0, f"{marked} marked, {marked / 2:.2f} given back\n")
    left = json.loads(invoke("expire", "--json", "--all", dsn=dsn).out)
    assert left == {"expired": 1001 - marked, "released": f"{(1001 - marked) / 2:.1f}" if marked < 1001 else "0"}


# Estimates


def test_an_estimate_is_a_number_alone(dsn: str, db: Connection) -> None:
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
           VALUES ('tiny', 'm', 'p', '{"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000004}')"""
    )
    asked = {
        ("tier", "0.4"): "1.00",
        ("tier", "0.4", "--hard-stop"): "2.50",
        ("tokens", "tiny", "5000000000", "0"): "5,000.00",
    }
    assert {arguments: invoke("estimate", *arguments, dsn=dsn).out.strip() for arguments in asked} == asked
    assert json.loads(invoke("estimate", "tier", "0.4", "--json", dsn=dsn).out) == {"estimate": "1.00"}


def test_history_without_samples_is_no_estimate(dsn: str, db: Connection) -> None:
    done = invoke("estimate", "history", "nightly", dsn=dsn)
    assert (done.code, done.out) == (1, "there are no settled holds to go by\n")
    for cost in range(1, 11):
        hold = Budget(db).reserve(1, "nightly").reservation_id
        assert hold
        Budget(db).settle(hold, cost)
    done = invoke("estimate", "history", "nightly", "--since", "7d", "--quantile", "0.5", dsn=dsn)
    assert (done.code, done.out) == (0, "5.00   from 10 settled holds\n")
    answer = json.loads(invoke("estimate", "history", "nightly", "--json", dsn=dsn).out)
    assert answer == {"estimate": "9", "samples": 10}


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reserve", "much", "svc"], "'much' is not an amount"),
        (["reserve", "1", "svc", "--ttl", "soon"], "'soon' is not a length of time"),
        (["reserve", "1", "svc", "--ttl", f"{'9' * 99}d"], "is too long"),
        (["reserve", "1", "svc", "--metadata", "{"], "not JSON"),
        (["reserve", "1", "svc", "--metadata", '{"x": NaN}'], "there is no NaN in it"),
        (["settle", "nonsense", "1"], "not a valid UUID"),
        (["expire", "--limit", "0"], "x>=1"),
        (["estimate", "tokens", "tiny", "many", "1"], "not a valid integer"),
    ],
)
def test_wrong_usage_is_seen_before_the_database_is(arguments: list[str], says: str) -> None:
    done = invoke(*arguments, dsn="host=/nowhere")
    assert (done.code, done.out) == (2, "")
    assert says in done.err.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reserve", "NaN", "svc"], "out of range"),
        (["reserve", "1", ""], "service"),
        (["reserve", "1", "svc", "--metadata", "[1]"], "must be a JSON object"),
        (["settle", str(uuid4()), "1"], "no reservation"),
        (["estimate", "tokens", "unheard of", "1", "1"], "unheard of"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_function_does_not_take_is_said_with_its_hint(
    dsn: str, arguments: list[str], says: str, as_json: bool
) -> None:
    done = invoke(*arguments, *["--json"][:as_json], dsn=dsn)
    assert (done.code, done.out) == (1, "")
    if as_json:
        told = json.loads(done.err)
        assert says in told["error"]
        assert told["sqlstate"] in ("22003", "22023", "PB002")
        assert told["hint"]
    else:
        assert says in done.err
        assert done.err.startswith("error: ")
        assert "\nhint: " in done.err


def test_spend_that_did_not_arrive_is_to_be_sent_again_under_its_id() -> None:
    done = invoke("record", "1", "svc", dsn="host=/nowhere")
    assert done.code == 3
    assert ANY_ID.search(done.err.partition("Run it again with --id ")[2].replace("\n", " "))
    done = invoke("settle", str(uuid4()), "1", dsn="host=/nowhere")
    assert done.code == 3
    assert "Run it again: it is booked once" in done.err.replace("\n", " ")


def test_broken_limits_refuse_with_what_is_wrong(dsn: str, db: Connection) -> None:
    configure(db, '{"emergency_kill": "lots"}')
    done = invoke("reserve", "1", "svc", dsn=dsn)
    assert (done.code, done.out) == (1, "")
    assert str(Budget(db).status().config_error) in done.err
    assert escalations(db) == []
