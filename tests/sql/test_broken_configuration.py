"""Fail closed: limits that cannot be trusted refuse whoever asks for money, and stop nobody who reports spend."""

from __future__ import annotations

import pytest

from tests.clock import Clock
from tests.pgtap import bag_eq
from tests.rows import (
    Connection,
    call,
    configure,
    escalations,
    expect,
    fails,
    ledger,
    ledger_size,
    one,
    reserve,
)

BROKEN: dict[str, str | None] = {
    "no row": None,
    "empty": "",
    "not JSON": "emergency_kill = 100",
    "cut short": '{"emergency_kill": 100',
    "JSON null": "null",
    "an array": "[100]",
    "a number": "100",
    "text": '"100"',
    "NaN": '{"emergency_kill": NaN}',
    "a number beyond numeric": '{"emergency_kill": 1e999999}',
    "nothing": "{}",
    "no emergency_kill": '{"daily_soft_cap": 20, "daily_hard_cap": 50}',
    "misspelt": '{"emergency_kil": 100}',
    **{
        f"{key} {value}": f'{{"emergency_kill": 100, "{key}": {value}}}'
        for key in ("daily_soft_cap", "daily_hard_cap", "emergency_kill")
        for value in ("null", '"50"', '"NaN"', '"Infinity"', "true", "[50]", '{"amount": 50}', "-1", "-0.0001", "1e15")
    },
    "soft above hard": '{"daily_soft_cap": 50.01, "daily_hard_cap": 50, "emergency_kill": 100}',
    "soft above kill": '{"daily_soft_cap": 101, "emergency_kill": 100}',
    "hard above kill": '{"daily_hard_cap": 101, "emergency_kill": 100}',
    **{
        f"timezone {value}": f'{{"emergency_kill": 100, "timezone": {value}}}'
        for value in (
            *("null", "0", "[]", '""', '" "', '"Mars/Olympus"', '"Europe/Berlin "', '"../../etc/passwd"'),
            *('"UTC+3"', '"UTC-3"', '"<+03>-3"', '"XYZ3ABC"', '"+03"', '"3"', '"-8"'),  # POSIX strings and offsets
            *('"Europe/Berlin2"', '"Nowhere/Land-3"', '"Etc/GMT+99"', '"Etc/GMT-15"', '"Etc/GMT+13"'),
            *('"EST"', '"est"', '"IST"'),  # abbreviations to which a session can give another meaning
        )
    },
    **{
        f"reservation_ttl {value}": f'{{"emergency_kill": 100, "reservation_ttl": {value}}}'
        for value in (
            "null",
            "3600",
            "[]",
            '""',
            '"soon"',
            '"0"',
            '"-1 hour"',
            '"24:00:01"',
            '"1 month"',
            '"9e99 years"',
        )
    },
    **{
        f"on_expiry {value}": f'{{"emergency_kill": 100, "on_expiry": {value}}}'
        for value in ("null", "true", '""', '"Release"', '"refund"', '["release"]')
    },
    **{
        f"exempt_services {value}": f'{{"emergency_kill": 100, "exempt_services": {value}}}'
        for value in ("null", '"architect"', "{}", "[1]", "[null]", '["architect", true]', '[["architect"]]')
    },
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_refuses_decisions_and_lets_spend_through(caller: Connection, clock: Clock, broken: str | None) -> None:
    to_settle, to_cancel, to_extend = (reserve(caller, cost, p_ttl="2 hours") for cost in (1, 2, 3))
    clock.advance(hours=1)
    configure(caller, broken)
    size = ledger_size(caller)

    details = {
        fails(caller, "PB005", function, *arguments).message_detail
        for function, arguments in [
            ("reserve", (0, "test")),
            ("reserve", (10, "architect")),
            ("reserve_advisory", (0, "test")),
            ("public.check_and_reserve_budget", (0, "test")),
            ("check", (0, "test")),
            ("extend", (to_extend, 2)),
            ("limits", ()),
        ]
    }
    assert ledger_size(caller) == size
    expect(ledger(caller, to_extend), cost=3)

    expect(call(caller, "settle", to_settle, 500), status="actual", actual_cost=500, over_limit=None)
    expect(call(caller, "cancel", to_cancel), status="cancelled")
    expect(call(caller, "record", 7, "test"), status="actual", over_limit=None)
    assert escalations(caller) == []

    caller.execute("SET LOCAL ROLE budget_reader")
    status = one(caller, "SELECT * FROM budget.status")
    expect(status, day=clock.now.date(), settled=507, held=3, open_holds=1, emergency_kill=None, remaining=None)
    assert details == {status.config_error}


def test_a_repeat_is_refused_too(caller: Connection) -> None:
    hold = reserve(caller, 10)
    configure(caller, None)
    fails(caller, "PB005", "reserve", 10, "test", p_reservation_id=hold)


def test_settling_again_says_again_that_no_limit_was_known(caller: Connection) -> None:
    hold = reserve(caller, 10)
    configure(caller, None)
    first = call(caller, "settle", hold, 12)
    expect(first, over_limit=None)
    configure(caller, {"emergency_kill": 1})
    assert call(caller, "settle", hold, 12) == first


def test_a_broken_time_zone_leaves_the_day_of_utc(caller: Connection, clock: Clock) -> None:
    configure(caller, '{"emergency_kill": 100, "timezone": "Pacific/Kiritimati", "on_expiry": "Keep"}')
    call(caller, "record", 5, "test")
    caller.execute("SET LOCAL ROLE budget_reader")
    status = one(caller, "SELECT * FROM budget.status")
    expect(status, timezone="UTC", day=clock.now.date(), settled=5)
    assert "on_expiry" in status.config_error


VALID: dict[str, str] = {
    "the live value": """{"daily_soft_cap": 50, "daily_hard_cap": 100, "emergency_kill": 200, "monthly_target": 500,
                          "monthly_hard_cap": 1000}""",
    "the least there is": '{"emergency_kill": 0}',
    "all the same": '{"daily_soft_cap": 5, "daily_hard_cap": 5, "emergency_kill": 5}',
    "zeros": '{"daily_soft_cap": 0, "daily_hard_cap": 0.0, "emergency_kill": 0}',
    "the largest": '{"emergency_kill": 999999999999999.999999999999}',
    "no hard cap": '{"daily_soft_cap": 100, "emergency_kill": 100}',
    "every other key": """{"emergency_kill": 1, "timezone": "Asia/Kathmandu", "reservation_ttl": "24 hours",
                           "on_expiry": "keep", "exempt_services": []}""",
    "keys of nobody": '{"emergency_kill": 1, "": null, "a": {"b": []}}',
}


@pytest.mark.parametrize("limits", VALID.values(), ids=VALID.keys())
def test_what_is_not_broken(caller: Connection, limits: str) -> None:
    configure(caller, limits)
    expect(call(caller, "check", 0, "test"), reason="granted")


def test_every_zone_of_the_server_can_be_used(tx: Connection) -> None:
    """But for those that AT TIME ZONE takes for an abbreviation: no summer time, or what a session makes of it."""
    bag_eq(
        tx,
        """SELECT z.name
             FROM pg_timezone_names AS z
            WHERE z.name !~ '^(posix|right)/' AND z.name NOT IN ('localtime', 'posixrules')
              AND (budget._parse_config(jsonb_build_object('emergency_kill', 1, 'timezone', z.name)::text)).error
                  IS NOT NULL""",
        [("CET",), ("EET",), ("EST",), ("MET",), ("WET",)],
    )
