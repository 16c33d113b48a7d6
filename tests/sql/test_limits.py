"""budget.limits and budget.set_limits: the one place where a limit is written."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.clock import NOON, Clock
from tests.rows import Connection, as_owner, call, configure, escalations, expect, fails, one, reserve

HOUR = timedelta(hours=1)


@pytest.fixture
def admin(tx: Connection, clock: Clock) -> Connection:
    """`tx` as the role that may administrate and nothing more."""
    tx.execute("SET LOCAL ROLE budget_admin")
    return tx


def stored(connection: Connection) -> Any:
    with as_owner(connection):
        row = one(connection, "SELECT value FROM public.system_config WHERE key = 'budget_limits'")
    return json.loads(row.value, parse_float=Decimal)


def test_limits_as_the_migrations_write_them(caller: Connection) -> None:
    expect(
        call(caller, "limits"),
        daily_soft_cap=20,
        daily_hard_cap=50,
        emergency_kill=100,
        timezone="UTC",
        reservation_ttl=HOUR,
        on_expiry="release",
        exempt_services=["architect"],
    )


def test_absent_caps_are_none_and_absent_keys_have_their_defaults(caller: Connection) -> None:
    configure(caller, {"emergency_kill": 7})
    expect(
        call(caller, "limits"),
        daily_soft_cap=None,
        daily_hard_cap=None,
        emergency_kill=7,
        timezone="UTC",
        reservation_ttl=HOUR,
        on_expiry="release",
        exempt_services=["architect"],
    )


ONE_KEY: list[tuple[str, object, object]] = [
    ("daily_soft_cap", Decimal("12.345678901234567890"), Decimal("12.345678901234567890")),
    ("daily_soft_cap", 0, 0),
    ("daily_hard_cap", 100, 100),
    ("emergency_kill", Decimal("50.5"), Decimal("50.5")),
    ("timezone", "America/New_York", "America/New_York"),
    ("timezone", "Etc/GMT-14", "Etc/GMT-14"),
    ("reservation_ttl", "90 seconds", timedelta(seconds=90)),
    ("reservation_ttl", "1 day", timedelta(hours=24)),
    ("on_expiry", "keep", "keep"),
    ("exempt_services", [], []),
    ("exempt_services", ["a", "b c"], ["a", "b c"]),
]


@pytest.mark.parametrize(("key", "value", "in_force"), ONE_KEY, ids=str)
def test_replaces_the_given_key_and_leaves_the_others(
    admin: Connection, key: str, value: object, in_force: object
) -> None:
    before, before_stored = call(admin, "limits"), stored(admin)
    given = f'{{"{key}": {value if isinstance(value, Decimal) else json.dumps(value)}}}'

    answer = call(admin, "set_limits", p_limits=given)

    assert answer == before._replace(**{key: in_force}) == call(admin, "limits")
    assert stored(admin) == {**before_stored, key: value}


def test_unknown_keys_are_kept_and_shown(admin: Connection) -> None:
    configure(admin, {"emergency_kill": 100, "monthly_hard_cap": 1000})
    call(admin, "set_limits", {"daily_sfot_cap": 10})
    assert stored(admin) == {"emergency_kill": 100, "monthly_hard_cap": 1000, "daily_sfot_cap": 10}
    admin.execute("SET LOCAL ROLE budget_reader")
    expect(one(admin, "SELECT * FROM budget.status"), unknown_keys=["daily_sfot_cap", "monthly_hard_cap"])


def test_is_in_force_at_once(admin: Connection) -> None:
    with as_owner(admin):
        reserve(admin, 90)
    call(admin, "set_limits", {"emergency_kill": 95})
    with as_owner(admin):
        expect(call(admin, "reserve", 6, "test"), can_proceed=False, limit_amount=95, remaining=5)
        expect(call(admin, "reserve", 5, "test"), can_proceed=True)


REFUSED: list[dict[str, object]] = [
    {"emergency_kill": 49},  # below the hard cap that is in force
    {"daily_soft_cap": 51},
    {"daily_hard_cap": 101},
    {"daily_hard_cap": 10},
    {"emergency_kill": None},
    {"emergency_kill": "100"},
    {"emergency_kill": -1},
    {"emergency_kill": 10**15},
    {"daily_soft_cap": None},
    {"timezone": "UTC+3"},
    {"timezone": "Mars/Olympus"},
    {"timezone": "PST"},  # an abbreviation, and no zone
    {"timezone": "utc"},
    {"reservation_ttl": "25 hours"},
    {"reservation_ttl": 3600},
    {"on_expiry": "refund"},
    {"exempt_services": "architect"},
    {"daily_soft_cap": 5, "timezone": "nowhere"},
]


@pytest.mark.parametrize("limits", REFUSED, ids=str)
def test_the_whole_is_checked_and_nothing_is_changed(admin: Connection, limits: dict[str, object]) -> None:
    before = stored(admin)
    fails(admin, "PB005", "set_limits", limits)
    assert stored(admin) == before
    assert escalations(admin) == []


def test_keys_that_belong_together_are_given_together(admin: Connection) -> None:
    fails(admin, "PB005", "set_limits", {"daily_soft_cap": 150})
    limits = {"daily_soft_cap": 150, "daily_hard_cap": 150, "emergency_kill": 150}
    expect(call(admin, "set_limits", limits), **limits)


@pytest.mark.parametrize("limits", ["[]", "null", "1", '"emergency_kill"'])
def test_limits_are_an_object(admin: Connection, limits: str) -> None:
    diag = fails(admin, "22023", "set_limits", limits)
    assert diag.message_primary.startswith("p_limits must")


@pytest.mark.parametrize("broken", [None, "not JSON", "[]", '{"emergency_kill": "100", "monthly_target": 5}'])
def test_over_a_broken_value_it_starts_anew(admin: Connection, broken: str | None) -> None:
    configure(admin, broken)
    fails(admin, "PB005", "set_limits", {"daily_soft_cap": 5})
    expect(call(admin, "set_limits", {"emergency_kill": 5}), emergency_kill=5, daily_soft_cap=None, timezone="UTC")
    assert stored(admin) == {"emergency_kill": 5}


def test_the_change_is_kept_with_who_made_it(admin: Connection) -> None:
    before = stored(admin)
    call(admin, "set_limits", {"emergency_kill": 70})
    [escalation] = escalations(admin)
    expect(
        escalation,
        kind="budget_limits_changed",
        severity="info",
        status="resolved",
        created_at=NOON,
        resolved_at=NOON,
    )
    assert "budget" in escalation.reason
    assert json.loads(escalation.context["old"]) == before
    assert json.loads(escalation.context["new"]) == {**before, "emergency_kill": 70}
    assert escalation.context["changed_by"] == admin.info.user


def test_every_change_is_kept(admin: Connection) -> None:
    for limit in (60, 70, 70):
        call(admin, "set_limits", {"emergency_kill": limit})
    assert len(escalations(admin)) == 3


def test_a_broken_value_is_kept_as_it_was(admin: Connection) -> None:
    configure(admin, "not JSON")
    call(admin, "set_limits", {"emergency_kill": 70})
    [escalation] = escalations(admin)
    assert escalation.context["old"] == "not JSON"


def test_days_follow_the_zone_in_force(admin: Connection, clock: Clock) -> None:
    """At 23:00 UTC it is tomorrow in Berlin."""
    with as_owner(admin):
        reserve(admin, 10)
        clock.set("2025-10-03 23:00")
        assert call(admin, "check", 0, "test").current_total == 0  # lapsed
        call(admin, "record", 10, "test")
    call(admin, "set_limits", {"timezone": "Europe/Berlin"})
    with as_owner(admin):
        assert call(admin, "check", 0, "test").current_total == 10
        clock.set("2025-10-04 21:59:59")
        assert call(admin, "check", 0, "test").current_total == 10
        clock.set("2025-10-04 22:00")
        assert call(admin, "check", 0, "test").current_total == 0
