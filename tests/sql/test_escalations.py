"""Escalations: a human is asked to look once, with the figures, in the transaction that saw the reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.clock import NOON, Clock, utc
from tests.pgtap import isnt_empty
from tests.rows import Connection, as_owner, call, configure, escalations, expect, one, reserve, rows, spend

SOFT, HARD, KILL = "budget_daily_soft_cap", "budget_daily_hard_cap", "budget_emergency_kill"
REFUSED, OVERRUN = "budget_refused", "budget_overrun"
TICK = Decimal("0.000000000001")


def kinds(connection: Connection) -> list[str]:
    """The kinds of all escalations, those of the caps in their order."""
    order = [SOFT, HARD, KILL, REFUSED, OVERRUN]
    return sorted((row.kind for row in escalations(connection)), key=order.index)


# ------------------------------------------------------------------------------------------------------- the caps


@pytest.mark.parametrize(
    ("estimate", "reached"),
    [
        (20 - TICK, []),
        (20, [SOFT]),
        (50 - TICK, [SOFT]),
        (50, [SOFT, HARD]),
        (100 - TICK, [SOFT, HARD]),
        (100, [SOFT, HARD, KILL]),
    ],
)
def test_every_cap_that_the_day_has_reached(
    caller: Connection, clock: Clock, variant: str, estimate: Decimal, reached: list[str]
) -> None:
    call(caller, variant, estimate, "test")
    assert kinds(caller) == reached


REACHES_50: dict[str, Callable[[Connection], object]] = {
    "reserve": lambda c: call(c, "reserve", 11, "test"),
    "reserve_advisory": lambda c: call(c, "reserve_advisory", 11, "test"),
    "check_and_reserve_budget": lambda c: call(c, "public.check_and_reserve_budget", 11, "test"),
    "extend": lambda c: call(c, "extend", held(c), 21),
    "settle": lambda c: call(c, "settle", held(c), 21),
    "record": lambda c: call(c, "record", 11, "test"),
}


def held(connection: Connection) -> Any:
    with as_owner(connection):
        [(hold,)] = connection.execute("SELECT reservation_id FROM budget.open_holds").fetchall()
    return hold


@pytest.mark.parametrize("function", REACHES_50)
def test_whichever_function_sees_it(caller: Connection, clock: Clock, function: str) -> None:
    reserve(caller, 10)
    spend(caller, 29)
    assert kinds(caller) == []
    REACHES_50[function](caller)
    assert kinds(caller) == [SOFT, HARD]


@pytest.mark.parametrize("function", REACHES_50)
def test_state_counts_and_not_the_step_that_led_to_it(caller: Connection, clock: Clock, function: str) -> None:
    """Spend that was written directly crosses no edge that a function could see."""
    reserve(caller, 10)
    spend(caller, 60)
    REACHES_50[function](caller)
    assert kinds(caller) == [SOFT, HARD]


def test_a_refusal_sees_it_too(caller: Connection, clock: Clock) -> None:
    spend(caller, 99)
    call(caller, "reserve", 10, "test")
    assert kinds(caller) == [SOFT, HARD, REFUSED]


def test_what_it_says(caller: Connection, clock: Clock) -> None:
    reserve(caller, Decimal("20.50"))
    [escalation] = escalations(caller)
    expect(
        escalation,
        kind=SOFT,
        severity="warning",
        status="pending",
        subject="daily",
        day="2025-10-03",
        created_at=NOON,
        resolved_at=None,
    )
    assert "budget" in escalation.reason
    assert "daily_soft_cap" in escalation.reason
    assert "20.50" in escalation.reason
    figures = {key: escalation.context[key] for key in ("current_total", "cap", "limit_amount")}
    assert figures == {"current_total": "20.50", "cap": "20", "limit_amount": "100"}  # text: JSON would make floats


@pytest.mark.parametrize(("estimate", "severities"), [(20, ["warning"]), (100, ["warning", "high", "critical"])])
def test_severities_rise(caller: Connection, clock: Clock, estimate: int, severities: list[str]) -> None:
    reserve(caller, estimate)
    order = ["warning", "high", "critical"]
    assert sorted((row.severity for row in escalations(caller)), key=order.index) == severities


def test_once_a_day(caller: Connection, clock: Clock) -> None:
    for hour in (0, 1, 23):
        clock.set(NOON.replace(hour=hour))
        call(caller, "record", 20, "test")
    assert kinds(caller) == [SOFT, HARD]
    clock.set("2025-10-04 00:00")
    call(caller, "record", 20, "test")
    assert kinds(caller) == [SOFT, SOFT, HARD]
    assert sorted(row.day for row in escalations(caller) if row.kind == SOFT) == ["2025-10-03", "2025-10-04"]


def test_the_day_is_that_of_the_hold(caller: Connection, clock: Clock) -> None:
    clock.set("2025-10-03 23:59")
    hold = reserve(caller, 10)
    clock.set("2025-10-04 00:01")
    call(caller, "settle", hold, 25)
    expect(escalations(caller)[0], day="2025-10-03", kind=SOFT)


def test_the_day_is_that_of_the_zone_in_force(caller: Connection, clock: Clock) -> None:
    configure(caller, {"daily_soft_cap": 20, "emergency_kill": 100, "timezone": "Pacific/Kiritimati"})
    reserve(caller, 20)
    expect(escalations(caller)[0], day="2025-10-04")


@pytest.mark.parametrize(
    ("limits", "reached"),
    [
        ({"emergency_kill": 100}, []),
        ({"daily_hard_cap": 50, "emergency_kill": 100}, [HARD]),
        ({"daily_soft_cap": 60, "daily_hard_cap": 60, "emergency_kill": 60}, [SOFT, HARD, KILL]),
        ({"daily_soft_cap": 61, "emergency_kill": 61}, []),
    ],
)
def test_an_absent_cap_is_no_cap(
    caller: Connection, clock: Clock, limits: dict[str, object], reached: list[str]
) -> None:
    configure(caller, limits)
    reserve(caller, 60)
    assert kinds(caller) == reached


def test_a_lapsed_hold_reaches_no_cap(caller: Connection, clock: Clock) -> None:
    reserve(caller, 19)
    clock.advance(hours=1)
    reserve(caller, 19)
    assert kinds(caller) == []


def test_spend_within_its_estimate_sees_nothing(caller: Connection, clock: Clock) -> None:
    """Settling does not sum the day unless the actual is more than the hold counted."""
    hold = reserve(caller, 10)
    spend(caller, 90)
    call(caller, "settle", hold, 10)
    assert kinds(caller) == []


# ------------------------------------------------------------------------------------------------------- refusals


def test_the_first_refusal_of_a_service_says_why(caller: Connection, clock: Clock, variant: str) -> None:
    configure(caller, {"emergency_kill": 100})
    reserve(caller, 95)
    call(caller, variant, Decimal("10.5"), "batch")
    [escalation] = escalations(caller)
    expect(escalation, kind=REFUSED, severity="critical", subject="batch", day="2025-10-03", status="pending")
    for said in ("budget", "batch", "in_flight", "95", "10.5", "100"):
        assert said in escalation.reason
    figures = ("verdict_reason", "current_total", "estimated_cost", "limit_amount", "remaining")
    assert [escalation.context[key] for key in figures] == ["in_flight", "95", "10.5", "100", "5"]


def test_one_for_each_service_and_day(caller: Connection, clock: Clock) -> None:
    configure(caller, {"emergency_kill": 1})
    for day in (3, 4):
        clock.set(NOON.replace(day=day))
        for service in ("a", "b", "a", "b"):
            call(caller, "reserve", 2, service)
    assert [(row.subject, row.day) for row in escalations(caller)] == [
        ("a", "2025-10-03"),
        ("a", "2025-10-04"),
        ("b", "2025-10-03"),
        ("b", "2025-10-04"),
    ]


REFUSALS: dict[str, Callable[[Connection], Any]] = {
    "too_large": lambda c: call(c, "reserve", 101, "test"),
    "exhausted": lambda c: (spend(c, 100), call(c, "reserve", 1, "test"))[1],
    "in_flight": lambda c: (reserve(c, 100, "architect"), call(c, "reserve", 1, "test"))[1],
    "frozen": lambda c: (freeze(c), call(c, "reserve", 1, "test"))[1],
    "extend": lambda c: call(c, "extend", reserve(c, 1), 101),
}


def freeze(connection: Connection) -> Any:
    with as_owner(connection):
        return call(connection, "freeze", "stop")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_kind_of_refusal_is_one(caller: Connection, clock: Clock, refusal: str) -> None:
    configure(caller, {"emergency_kill": 100})
    assert REFUSALS[refusal](caller).can_proceed is False
    assert [row.subject for row in escalations(caller) if row.kind == REFUSED] == ["test"]


def test_a_check_a_replay_and_an_ended_hold_escalate_nothing(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    spend(caller, 500)
    call(caller, "check", 10, "test")
    call(caller, "reserve", 10, "test", p_reservation_id=hold)
    call(caller, "cancel", hold)
    expect(call(caller, "reserve", 10, "test", p_reservation_id=hold), reason="ended")
    assert kinds(caller) == []


LISTED = 1000

# What else the application's own table may have.
OTHERS = "INSERT INTO public.escalations (trigger_type, context) SELECT 'other', '{}' FROM generate_series(1, %s)"


def refuse(connection: Connection, first: int, last: int) -> None:
    """Refuse each of these services, none of which is refused by anything else."""
    query = "SELECT (budget.reserve(2, 'svc ' || n)).can_proceed FROM generate_series(%s::int, %s::int) AS n"
    assert {row.can_proceed for row in rows(connection, query, first, last)} == {False}


@pytest.fixture
def listed(caller: Connection, clock: Clock) -> Connection:
    """One refusal less than are listed."""
    configure(caller, {"emergency_kill": 1})
    refuse(caller, 1, LISTED - 1)
    assert len(escalations(caller)) == LISTED - 1
    return caller


def test_after_a_thousand_refusals_one_row_says_that_more_are_not_listed(listed: Connection) -> None:
    for _ in range(2):
        refuse(listed, LISTED - 1, LISTED + 2)
    more, *told = escalations(listed)
    assert {row.subject for row in told} == {f"svc {n}" for n in range(1, LISTED + 1)}
    expect(more, kind=REFUSED, severity="critical", subject="*", day="2025-10-03", status="pending")
    assert more.reason == (
        "The budget has refused 1000 different services, work orders or members on 2025-10-03. More of that day are "
        "not listed, but for the first refusal of each other budget."
    )


def test_the_next_day_begins_a_new_list(listed: Connection, clock: Clock) -> None:
    refuse(listed, LISTED, LISTED + 1)
    clock.advance(days=1)
    refuse(listed, LISTED, LISTED + 1)
    assert [row.subject for row in escalations(listed) if row.day == "2025-10-04"] == ["svc 1000", "svc 1001"]


def test_what_is_told_of_other_things_shortens_no_list(listed: Connection) -> None:
    with as_owner(listed):
        listed.execute(OTHERS, [2000])
    call(listed, "record", 1, "test")
    refuse(listed, LISTED, LISTED + 1)
    assert {row.subject for row in escalations(listed) if row.kind == REFUSED} >= {"*", "svc 1000"}
    assert {row.kind for row in escalations(listed)} == {KILL, REFUSED, "other"}


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
def test_how_many_there_are_is_asked_by_the_key(listed: Connection, plans: str) -> None:
    """However much else the table has."""
    with as_owner(listed):
        listed.execute(OTHERS, [20000])
        listed.execute("ANALYZE public.escalations")
    listed.execute(f"SET LOCAL plan_cache_mode = {plans}".encode())
    looks = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'public.escalations'::regclass"
    before = one(listed, looks)
    refuse(listed, LISTED, LISTED + 1)
    after = one(listed, looks)
    assert after.seq_scan == before.seq_scan
    before = after
    refuse(listed, 1, LISTED)
    assert one(listed, looks).idx_tup_fetch - before.idx_tup_fetch <= 2 * LISTED  # those that are known count nothing


# -------------------------------------------------------------------------------------------------------- overruns


def overrun_by_settle(connection: Connection) -> UUID:
    hold = reserve(connection, 10, "batch")
    spend(connection, 85)
    call(connection, "settle", hold, Decimal("15.5"))
    return hold


def overrun_by_record(connection: Connection) -> UUID:
    spend(connection, 85)
    spend_id: UUID = call(connection, "record", Decimal("15.5"), "batch").reservation_id
    return spend_id


@pytest.mark.parametrize(("overrun", "estimate"), [(overrun_by_settle, "10"), (overrun_by_record, None)])
def test_spend_that_leaves_the_day_over_its_limit(
    caller: Connection, clock: Clock, overrun: Callable[[Connection], UUID], estimate: str | None
) -> None:
    row_id = overrun(caller)
    assert kinds(caller) == [SOFT, HARD, KILL, OVERRUN]
    [escalation] = [row for row in escalations(caller) if row.kind == OVERRUN]
    expect(escalation, severity="critical", subject=str(row_id), day="2025-10-03", status="pending")
    for said in ("budget", "batch", "15.5", "100.5", "100"):
        assert said in escalation.reason
    figures = ("service_name", "estimated_cost", "actual_cost", "current_total", "limit_amount")
    assert [escalation.context[key] for key in figures] == ["batch", estimate, "15.5", "100.5", "100"]


def test_exactly_the_limit_is_no_overrun(caller: Connection, clock: Clock) -> None:
    call(caller, "settle", reserve(caller, 10), 100)
    assert kinds(caller) == [SOFT, HARD, KILL]


def test_repeating_what_overran_says_it_once(caller: Connection, clock: Clock) -> None:
    hold = reserve(caller, 10)
    for _ in range(2):
        call(caller, "settle", hold, 150)
    call(caller, "record", 1, "test")
    assert kinds(caller) == [SOFT, HARD, KILL, OVERRUN, OVERRUN]  # each spend above the limit is one


# ----------------------------------------------------------------------------------------------------- all of them


def test_it_is_undone_with_the_transaction_that_wrote_it(tx: Connection, clock: Clock) -> None:
    with tx.transaction(force_rollback=True):
        reserve(tx, 60)
        assert kinds(tx) == [SOFT, HARD]
    assert kinds(tx) == []
    reserve(tx, 60)
    assert kinds(tx) == [SOFT, HARD]


def test_the_hand_overs_own_query_finds_a_refusal(caller: Connection, clock: Clock) -> None:
    spend(caller, 95)
    call(caller, "public.check_and_reserve_budget", 10, "test")
    with as_owner(caller):
        isnt_empty(
            caller,
            """SELECT * FROM escalations WHERE reason LIKE '%budget%' AND context ->> 'subject' = 'test'
                ORDER BY created_at DESC LIMIT 5""",
        )


@pytest.mark.parametrize("style", ["ISO, DMY", "German", "SQL, MDY", "Postgres, YMD"])
def test_the_callers_date_style_opens_no_second_one(caller: Connection, clock: Clock, style: str) -> None:
    reserve(caller, 20)
    caller.execute(psycopg.sql.SQL("SET LOCAL datestyle = {}").format(style))
    caller.execute("SET LOCAL TimeZone = 'Pacific/Kiritimati'")
    call(caller, "record", 1, "test")
    caller.execute("SET LOCAL datestyle = 'ISO, MDY'")
    assert kinds(caller) == [SOFT]


def test_one_that_a_human_has_resolved_is_not_written_again(caller: Connection, clock: Clock) -> None:
    reserve(caller, 20)
    with as_owner(caller):
        caller.execute("UPDATE escalations SET status = 'resolved'")
    call(caller, "record", 1, "test")
    [escalation] = escalations(caller)
    expect(escalation, status="resolved")


def test_time_is_that_of_the_clock(caller: Connection, clock: Clock) -> None:
    at: datetime = clock.set(utc("2025-10-03 13:37:00.000001"))
    reserve(caller, 20)
    expect(escalations(caller)[0], created_at=at)
