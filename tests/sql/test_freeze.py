"""budget.freeze and budget.unfreeze: the kill switch."""

from __future__ import annotations

import json

import pytest

from tests.clock import NOON, Clock
from tests.rows import Connection, as_owner, call, escalations, expect, fails, one, reserve


@pytest.fixture
def admin(tx: Connection, clock: Clock) -> Connection:
    """`tx` as the role that may administrate and nothing more."""
    tx.execute("SET LOCAL ROLE budget_admin")
    return tx


def test_says_why_and_since_when(admin: Connection, clock: Clock) -> None:
    frozen = call(admin, "freeze", p_reason="leaked key")
    expect(frozen, frozen=True, reason="leaked key", since=NOON)
    admin.execute("SET LOCAL ROLE budget_reader")
    expect(one(admin, "SELECT * FROM budget.status"), frozen=True, frozen_reason="leaked key")


@pytest.mark.parametrize("service", ["test", "architect"])
@pytest.mark.parametrize("estimate", [0, 10, 200])
def test_refuses_everyone_whatever_the_estimate(admin: Connection, service: str, estimate: int, variant: str) -> None:
    call(admin, "freeze", "stop")
    with as_owner(admin):
        verdict = call(admin, variant, estimate, service)
        expect(verdict, can_proceed=False, reason="frozen", reservation_id=None, retry_at=None, expires_at=None)
        expect(verdict, current_total=0, limit_amount=100, remaining=100)
        assert verdict == call(admin, "check", estimate, service)


def test_what_is_under_way_goes_on(admin: Connection, clock: Clock) -> None:
    with as_owner(admin):
        settled, cancelled, lapsing = (reserve(admin, cost) for cost in (1, 2, 4))
    call(admin, "freeze", "stop")
    with as_owner(admin):
        expect(call(admin, "settle", settled, 3), status="actual")
        expect(call(admin, "cancel", cancelled), status="cancelled")
        expect(call(admin, "record", 5, "test"), status="actual")
        expect(call(admin, "reserve", 4, "test", p_reservation_id=lapsing), reason="replayed")
        clock.advance(hours=1)
        expect(call(admin, "expire"), expired=1, released=4)


def test_frozen_already_the_first_reason_stands(admin: Connection, clock: Clock) -> None:
    first = call(admin, "freeze", "first")
    clock.advance(minutes=1)
    assert call(admin, "freeze", "second") == first
    assert len(escalations(admin)) == 1


def test_unfreeze_ends_it(admin: Connection) -> None:
    call(admin, "freeze", "stop")
    expect(call(admin, "unfreeze"), frozen=False, reason=None, since=None)
    with as_owner(admin):
        expect(call(admin, "reserve", 10, "test"), reason="granted")


def test_unfreeze_of_what_is_not_frozen_changes_nothing(admin: Connection) -> None:
    expect(call(admin, "unfreeze"), frozen=False, reason=None, since=None)
    assert escalations(admin) == []


def test_both_are_kept_with_who_did_it(admin: Connection, clock: Clock) -> None:
    call(admin, "freeze", "leaked key")
    clock.advance(minutes=1)
    call(admin, "unfreeze")
    frozen, unfrozen = escalations(admin)
    expect(frozen, kind="budget_frozen", severity="info", status="resolved", created_at=NOON)
    expect(unfrozen, kind="budget_unfrozen", severity="info", status="resolved", created_at=clock.now)
    assert "leaked key" in frozen.reason
    user = admin.info.user
    written = {"reason": "leaked key", "by": user, "since": "2025-10-03T12:00:00.000000Z"}
    assert json.loads(frozen.context["new"]) == json.loads(unfrozen.context["old"]) == written
    assert frozen.context["changed_by"] == unfrozen.context["changed_by"] == user


@pytest.mark.parametrize("reason", [None, "", "x" * 65536])
def test_a_freeze_needs_a_reason_of_bounded_length(admin: Connection, reason: str | None) -> None:
    fails(admin, "22023", "freeze", reason)


@pytest.mark.parametrize(
    "value", ["", "true", "false", "null", "[]", '{"reason": 1}', '{"since": "when?"}', "not JSON"]
)
def test_a_switch_that_was_thrown_by_hand_freezes_whatever_it_says(admin: Connection, value: str) -> None:
    with as_owner(admin):
        admin.execute("INSERT INTO public.system_config (key, value) VALUES ('budget_freeze', %s)", [value])
        expect(call(admin, "reserve", 10, "test"), reason="frozen")
    admin.execute("SET LOCAL ROLE budget_reader")
    expect(one(admin, "SELECT * FROM budget.status"), frozen=True)
    admin.execute("SET LOCAL ROLE budget_admin")
    expect(call(admin, "unfreeze"), frozen=False)
