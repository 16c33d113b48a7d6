"""What may be called, called with ill intent: odd texts, keys and ids like ours, locks that anyone may take."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.concurrency.calls import UNDER_TABLE_LOCK
from tests.pgtap import throws_ok
from tests.rows import Connection, call, escalations, expect, fails, ledger, one, reserve, spend, total
from tests.security.calls import HOLD, ORDER
from tests.security.conftest import Login

ADVISORY_KEY = 8099550711184319860

ODD = [
    "%s %I %L %1$s % %%",
    "'; DROP TABLE public.cost_tracking; --",
    "$function$; $$; \\'\\\\",
    '"quoted"."name"',
    '{"type": "actual"}',
    "line\nbreak\ttab",
    "NULL",
    "work order " + ORDER,
    "daily",
    "\u202eright to left, and \U0001f4b8",
    "x" * 200,
]


@pytest.fixture(scope="module", autouse=True)
def owner(plain: Connection) -> Connection:
    """The superuser's session. The day has spent $30 of $100 and holds $5."""
    return plain


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_kept_as_they_are(plain: Connection, text: str) -> None:
    with plain.transaction(force_rollback=True):
        plain.execute("SET LOCAL ROLE caller")
        settled, cancelled = reserve(plain, 1, text, p_metadata={text: text}), reserve(plain, 1, text)
        expect(call(plain, "settle", settled, 2, {text: text}), status="actual", actual_cost=2)
        expect(call(plain, "cancel", cancelled, text), status="cancelled")
        call(plain, "record", 1, text, {text: text})
        call(plain, "escalate", text, text, text, ORDER, text, {text: text})
        expect(call(plain, "reserve", 1000, text), can_proceed=False, reason="too_large")
        fails(plain, "PB004", "cancel", settled, text)
        assert total(plain) == 38
        row = ledger(plain, settled)
        expect(row, service_name=text, cost=2)
        assert row.metadata["original_metadata"] == {text: text}
        assert row.metadata[text] == text
        assert ledger(plain, cancelled).metadata["cancel_reason"] == text
        written = {each.kind: each for each in escalations(plain)}
        expect(written["budget_refused"], subject=text)
        assert text in written["budget_refused"].reason
        assert written["error"].reason == f"{text}, {text}: {text}"


# Keys that mean something to us, with values that would pay.
FORGED: dict[str, object] = {
    "type": "cancelled",
    "reserved_at": None,
    "recorded_at": "2000-01-01",
    "estimated_cost": "0",
    "requested_cost": "0",
    "original_metadata": {},
    "expires_at": "2000-01-01",
    "cost": 0,
    "late": True,
    "over_limit": False,
    "settled_at": "2000-01-01",
    "cancelled_at": "2000-01-01",
    "expired_at": "2000-01-01",
    "extended_at": "2000-01-01",
}


def test_keys_of_ours_in_a_callers_metadata_mean_nothing(plain: Connection) -> None:
    with plain.transaction(force_rollback=True):
        plain.execute("SET LOCAL ROLE caller")
        hold = reserve(plain, 10, "mine", p_metadata=FORGED)
        assert total(plain) == 45
        assert ledger(plain, hold).metadata["original_metadata"] == FORGED
        expect(call(plain, "settle", hold, 66, FORGED), status="actual", estimated_cost=10, over_limit=True, late=False)
        row = ledger(plain, hold)
        expect(row, type="actual", cost=66, expires_at=None)
        mine = {key: row.metadata[key] for key in ("type", "estimated_cost", "requested_cost", "original_metadata")}
        assert mine == {
            "type": "actual",
            "estimated_cost": "10",
            "requested_cost": "10",
            "original_metadata": FORGED,
        }
        assert row.metadata["settled_at"].startswith("2025-10-03")
        expect(call(plain, "record", 1, "mine", FORGED), status="actual", actual_cost=1)
        assert total(plain) == 102


def test_keys_of_ours_in_an_escalations_metadata_mean_nothing(plain: Connection) -> None:
    forged = {"severity": "info", "component": "theirs", "error": "nothing", "work_order_id": None, "day": "2000-01-01"}
    with plain.transaction(force_rollback=True):
        call(plain, "escalate", "component", "operation", "error", ORDER, "critical", forged)
        [written] = [each for each in escalations(plain) if each.kind == "error"]
        expect(written, severity="critical", reason="component, operation: error", status="pending")
        assert written.context["component"] == "component"
        assert written.context["work_order_id"] == ORDER


def test_a_service_named_like_a_work_order_does_not_silence_the_orders_refusal(plain: Connection) -> None:
    with plain.transaction(force_rollback=True):
        spend(plain, 64)
        plain.execute("SET LOCAL ROLE caller")
        assert not call(plain, "reserve", 1000, f"work order {ORDER}").can_proceed
        told = one(plain, f"SELECT budget.route_work_order('{ORDER}', 'encryption', '{{}}', 1, true) AS answer").answer
        assert told["success"] is False
        refused = [each for each in escalations(plain) if each.kind == "budget_refused"]
        assert [each.context["work_order_id"] for each in refused].count(ORDER) == 1
        assert len(refused) == 2


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("cancel", (HOLD, "x" * 65536)),
        ("settle", (HOLD, 1, {"x": "x" * 65536})),
        ("reserve", (1, "mine", {"x": "x" * 65536})),
        ("reserve", (1, "x" * 201)),
        ("record", (1, "mine", {"x": "x" * 65536})),
        ("escalate", ("c", "o", "e", None, "info", {"x": "x" * 65536})),
    ],
)
def test_what_is_stored_is_bounded(plain: Connection, function: str, arguments: tuple[object, ...]) -> None:
    with plain.transaction(force_rollback=True):
        plain.execute("SET LOCAL ROLE caller")
        fails(plain, "22023", function, *arguments)


@pytest.mark.parametrize("value", ["1e1000", "-1e1000", "1e-1000", "NaN", "Infinity", "0." + "9" * 16000])
def test_no_amount_is_too_odd(plain: Connection, value: str) -> None:
    """It is refused, or rounded up: never stored as it came, and never for free."""
    with plain.transaction(force_rollback=True):
        plain.execute("SET LOCAL ROLE caller")
        if value.startswith(("0.", "1e-")):
            hold = reserve(plain, Decimal(value), "mine")
            assert Decimal(0) < ledger(plain, hold).cost <= 1
        else:
            fails(plain, "22003", "reserve", Decimal(value), "mine")


# The decision lock's key is published, and PostgreSQL lets everybody take an advisory lock: whoever may connect can
# hold up those who decide, for as long as he stays. It costs them their lock_timeout, 5 s at most, and no wrong answer.


@pytest.mark.parametrize("variant", ["reserve", "reserve_advisory", "extend"])
def test_a_held_advisory_key_makes_deciders_fail_in_time(login: Login, variant: str) -> None:
    nobody, caller = login("nobody"), login("caller")
    nobody.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_KEY])
    caller.execute("SET lock_timeout = '200ms'")
    statement = {
        "reserve": "SELECT can_proceed FROM budget.reserve(1, 'mine')",
        "reserve_advisory": "SELECT can_proceed FROM budget.reserve_advisory(1, 'mine')",
        "extend": f"SELECT can_proceed FROM budget.extend('{HOLD}', 6)",
    }[variant]
    with caller.transaction(force_rollback=True):
        if variant in UNDER_TABLE_LOCK:  # which takes a right to the table
            assert caller.execute(statement.encode()).fetchone() == (True,)
        else:
            throws_ok(caller, statement, None, "55P03", "the budget is busy: no decision lock within 200ms")


def test_a_held_advisory_key_keeps_nobody_from_ending_a_hold(login: Login) -> None:
    nobody, caller = login("nobody"), login("caller")
    nobody.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_KEY])
    caller.execute("SET lock_timeout = '200ms'")
    with caller.transaction(force_rollback=True):
        assert call(caller, "settle", HOLD, 4).status == "actual"
        assert call(caller, "record", 1, "mine").status == "actual"
        assert call(caller, "check", 1, "mine").can_proceed


# Views


@pytest.mark.parametrize(
    ("view", "column"),
    [("open_holds", "metadata::text"), ("open_holds", "reservation_id::text"), ("invariants", "id::text")],
)
def test_a_readers_own_function_sees_no_more_than_the_view_shows(login: Login, view: str, column: str) -> None:
    """A function that seems to cost nothing would be called on every row of the ledger before the view's own filter."""
    caller, reader = login("caller"), login("reader")
    ended = reserve(caller, 1, "mine", p_metadata={"prompt": "hush"})
    call(caller, "cancel", ended)
    seen: list[str] = []
    reader.add_notice_handler(lambda notice: seen.append(str(notice.message_primary)))
    reader.execute(
        """CREATE FUNCTION pg_temp.peek(text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql
               AS $$BEGIN RAISE NOTICE '%', $1; RETURN true; END$$"""
    )
    shown = reader.execute(f"SELECT {column} FROM budget.{view}".encode()).fetchall()
    reader.execute(f"SELECT FROM budget.{view} WHERE pg_temp.peek({column})".encode())
    assert sorted(seen) == sorted(text for (text,) in shown)
