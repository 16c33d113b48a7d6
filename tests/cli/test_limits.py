"""`pgbudget limits`, `freeze` and `unfreeze`: what is set is in force, exactly, and only for those who may."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from pgbudget import Budget
from tests.cli.command import invoke
from tests.rows import configure

Connection = psycopg.Connection[Any]


def in_force(dsn: str) -> dict[str, Any]:
    limits: dict[str, Any] = json.loads(invoke("limits", "--json", dsn=dsn).out)
    return limits


DEFAULTS = {
    "daily_soft_cap": "20",
    "daily_hard_cap": "50",
    "emergency_kill": "100",
    "timezone": "UTC",
    "reservation_ttl": "3600 seconds",
    "on_expiry": "release",
    "exempt_services": ["architect"],
}


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        (["emergency_kill=200"], {"emergency_kill": "200"}),
        (["emergency_kill=100.123456789012345678901"], {"emergency_kill": "100.123456789012345678901"}),
        (["daily_soft_cap=1e-7", "daily_hard_cap = 30 "], {"daily_soft_cap": "0.0000001", "daily_hard_cap": "30"}),
        (["timezone=Europe/Berlin", "on_expiry=keep"], {"timezone": "Europe/Berlin", "on_expiry": "keep"}),
        (["reservation_ttl=15 minutes"], {"reservation_ttl": "900 seconds"}),
        (['exempt_services=["a", "b=c"]'], {"exempt_services": ["a", "b=c"]}),
        (["exempt_services=[]"], {"exempt_services": []}),
    ],
)
def test_given_limits_change_and_the_others_stay(dsn: str, settings: list[str], changed: dict[str, Any]) -> None:
    assert in_force(dsn) == DEFAULTS
    answer = json.loads(invoke("limits", "set", *settings, "--json", dsn=dsn).out)
    assert answer == in_force(dsn) == DEFAULTS | changed


def test_what_can_be_shown_can_be_set(dsn: str) -> None:
    shown = in_force(dsn)
    settings = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in shown.items()]
    assert invoke("limits", "set", *settings, dsn=dsn).code == 0
    assert in_force(dsn) == shown


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["emergency_kill=5"], "must be ordered"),
        (["emergency_kill=NaN"], "must be a number"),
        (["emergency_kill=lots"], "must be a number"),
        (["emergency_kill=null"], "must be a number"),
        (["timezone=Nowhere/Land"], "Nowhere/Land"),
        (["reservation_ttl=900"], "must be text"),
        (["emergency_kill=200", "on_expiry=burn"], "on_expiry must be"),
    ],
)
def test_limits_that_cannot_be_change_nothing(dsn: str, settings: list[str], says: str) -> None:
    done = invoke("limits", "set", *settings, dsn=dsn)
    assert (done.code, done.out) == (1, "")
    assert says in done.err.replace("\n", " ")
    assert in_force(dsn) == DEFAULTS


@pytest.mark.parametrize("setting", ["emergency_kill", "=200", "  =200"])
def test_what_is_no_setting_is_wrong_usage(setting: str) -> None:
    done = invoke("limits", "set", setting, dsn="host=/nowhere")
    assert done.code == 2
    assert "key=value" in done.err


def test_the_database_may_be_named_before_or_after_set(dsn: str) -> None:
    assert invoke("limits", "--dsn", dsn, "set", "emergency_kill=200", dsn="").code == 0
    assert invoke("limits", "set", "--dsn", dsn, "daily_hard_cap=60", dsn="").code == 0
    assert (in_force(dsn)["emergency_kill"], in_force(dsn)["daily_hard_cap"]) == ("200", "60")


def test_broken_limits_are_mended_and_shown_as_broken_before(dsn: str, db: Connection) -> None:
    configure(db, '{"emergency_kill": "lots"}')
    done = invoke("limits", dsn=dsn)
    assert (done.code, done.out) == (1, "")
    assert str(Budget(db).status().config_error) in done.err
    assert invoke("limits", "set", "emergency_kill=70", dsn=dsn).code == 0
    assert in_force(dsn) == DEFAULTS | {"daily_soft_cap": None, "daily_hard_cap": None, "emergency_kill": "70"}


def test_a_freeze_stands_until_it_is_ended(dsn: str, db: Connection) -> None:
    done = invoke("freeze", "the bill \x1b[31m", dsn=dsn)
    assert done.code == 0
    assert done.out.startswith("frozen since ")
    assert done.out.endswith(": the bill \\x1b[31m\n")
    assert json.loads(invoke("freeze", "another reason", "--json", dsn=dsn).out)["reason"] == "the bill \x1b[31m"
    assert Budget(db).status().frozen
    assert invoke("unfreeze", dsn=dsn).out == "not frozen: the limits decide\n"
    answer = json.loads(invoke("unfreeze", "--json", dsn=dsn).out)
    assert answer == {"frozen": False, "reason": None, "since": None}
    assert not Budget(db).status().frozen


@pytest.mark.parametrize(
    "command", [["freeze", "why"], ["unfreeze"], ["limits", "set", "emergency_kill=1"], ["expire"]]
)
def test_a_caller_is_no_admin_and_is_told_what_it_takes(dsn: str, app_role: str, command: list[str]) -> None:
    done = invoke(*command, dsn=dsn.replace("postgres@", f"{app_role}@"))
    assert (done.code, done.out) == (3, "")
    assert "permission denied" in done.err
    assert "budget_admin" in done.err


@pytest.mark.parametrize(
    ("setting", "says"), [("daily_softcap=3", "did you mean daily_soft_cap?"), ("colour=3", "there is daily_soft_cap,")]
)
def test_a_limit_that_there_is_not_is_refused(dsn: str, db: Connection, setting: str, says: str) -> None:
    """In the database it would be kept, and nothing would enforce it."""
    done = invoke("limits", "set", setting, "emergency_kill=200", dsn=dsn)
    assert (done.code, says in " ".join(done.err.split())) == (2, True)
    assert Budget(db).limits().emergency_kill == 100
