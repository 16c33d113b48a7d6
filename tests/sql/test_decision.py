"""What no other file asks of a decision, of the guard of a settle, and of the escalation of an overrun."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.clock import NOON, Clock, utc
from tests.conftest import Connect
from tests.rows import (
    Connection,
    call,
    configure,
    escalations,
    expect,
    failing,
    fails,
    ledger,
    one,
    reserve,
    rows,
    spend,
)
from tests.series import by_series
from tests.sql.locks import ADVISORY_KEY, LOCKS

# ------------------------------------------------------------------------------------------------ the caller's own


def test_a_repeat_leaves_the_lock_timeout_too(tx: Connection) -> None:
    hold = reserve(tx)
    tx.execute("SET LOCAL lock_timeout = '1min'")
    expect(call(tx, "reserve", 10, "test", p_reservation_id=hold), reason="replayed")
    assert one(tx, "SHOW lock_timeout").lock_timeout == "1min"


def trigger(tx: Connection, body: str, condition: str = "true") -> None:
    """As the application has it, before every insert into the ledger."""
    tx.execute(f"CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$".encode())
    tx.execute(
        f"""CREATE TRIGGER zealous BEFORE INSERT ON public.cost_tracking FOR EACH ROW WHEN ({condition})
            EXECUTE FUNCTION public.mine()""".encode()
    )


def test_whose_id_was_taken_meanwhile_gets_its_lock_timeout_back(tx: Connection) -> None:
    trigger(tx, "INSERT INTO public.cost_tracking SELECT NEW.*; RETURN NEW;", "pg_trigger_depth() = 0")
    tx.execute("SET LOCAL lock_timeout = '1min'")
    expect(call(tx, "reserve", 10, "test", p_reservation_id=uuid4()), can_proceed=True, reason="replayed")
    assert one(tx, "SHOW lock_timeout").lock_timeout == "1min"


def test_a_hold_that_is_to_lapse_at_another_time_is_not_kept(tx: Connection) -> None:
    trigger(tx, "NEW.expires_at := NEW.expires_at + interval '1 day'; RETURN NEW;")
    fails(tx, "PB006", "reserve", 1, "test")


@pytest.mark.parametrize("limits", ['["emergency_kill"]', '"emergency_kill"'])
def test_limits_that_only_name_their_key_are_none(tx: Connection, limits: str) -> None:
    configure(tx, limits)
    fails(tx, "PB005", "reserve", 1, "test")


@pytest.mark.parametrize(
    "harm",
    [
        "DROP INDEX public.budget_day_idx",
        "DROP INDEX public.budget_expiry_idx",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.budget_expiry_idx'::regclass",
    ],
)
def test_while_an_index_is_missing_or_invalid_reserve_takes_the_advisory_lock(tx: Connection, harm: str) -> None:
    """Whoever builds it waits for those who wait for a table lock."""
    tx.execute(harm.encode())
    reserve(tx)
    held = [row.mode for row in rows(tx, LOCKS)]
    assert "ShareRowExclusiveLock" not in held
    assert "RowExclusiveLock" in held
    assert ADVISORY_KEY in [row[1] for row in rows(tx, LOCKS)]


HOLDERS: dict[str, Callable[[Connection], object]] = {
    "reserve": reserve,
    "reserve_advisory": lambda connection: call(connection, "reserve_advisory", 1, "test"),
    "the ledger": lambda connection: connection.execute("LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE"),
} | by_series(core={"a writer": lambda connection: spend(connection, 1)}, budgets={})


@pytest.mark.parametrize("holder", HOLDERS)
def test_who_waits_in_vain_is_told_for_whom(db: Connection, connect: Connect, holder: str) -> None:
    waiting = connect()
    waiting.execute("SET lock_timeout = '50ms'")
    with db.transaction():
        HOLDERS[holder](db)
        for function in ["reserve"] if holder == "a writer" else ["reserve", "reserve_advisory"]:
            diag = fails(waiting, "55P03", function, 1, "test")
            assert f"process {db.info.backend_pid} holds it" in diag.message_detail
            assert "pgbudget lock" in diag.message_hint
    assert call(waiting, "reserve", 1, "test").can_proceed


# ----------------------------------------------------------------------------------------------------- the refusal


def test_the_limit_itself_is_worth_another_try(tx: Connection, clock: Clock) -> None:
    spend(tx, 50)
    expect(call(tx, "reserve", 100, "test"), reason="exhausted", retry_at=utc("2025-10-04"))


def test_an_extend_is_not_in_its_own_way(tx: Connection, clock: Clock) -> None:
    own = reserve(tx, 10, p_ttl="5 minutes")
    reserve(tx, 80, p_ttl="30 minutes")
    expect(call(tx, "extend", own, 21), reason="in_flight", retry_at=NOON + timedelta(minutes=30))


@pytest.mark.parametrize("days", [-1, 1])
def test_holds_of_another_day_free_nothing(tx: Connection, clock: Clock, days: int) -> None:
    tx.execute(
        """INSERT INTO public.cost_tracking (service_name, cost, metadata, created_at, expires_at)
           VALUES ('test', 60, '{"type": "reservation"}', %s, %s)""",
        [NOON + timedelta(days=days), NOON + timedelta(minutes=1)],
    )
    reserve(tx, 60, p_ttl="30 minutes")
    expect(call(tx, "reserve", 50, "test"), reason="in_flight", retry_at=NOON + timedelta(minutes=30))


# ------------------------------------------------------------------------- a direct writer who settles as settle does

SETTLED = """'{"type": "actual", "settled_at": "some time"}'"""

GUARDED = {
    "without its instant": """metadata = metadata || '{"type": "actual"}', expires_at = NULL""",
    "with an expiry": f"metadata = metadata || {SETTLED}",
    "with forged marks": f"""metadata = metadata || {SETTLED}
                             || '{{"late": true, "expired_at": "then", "cancelled_at": "then"}}', expires_at = NULL""",
    "without what is kept": f"""metadata = '{{"original_metadata": {{"work": "order"}}}}' || {SETTLED}::jsonb,
                                expires_at = NULL""",
    "with more that was asked for": f"""metadata = metadata || {SETTLED}
                             || '{{"original_metadata": {{"work": "order", "team": "b"}}}}', expires_at = NULL""",
    "late": f"metadata = metadata || {SETTLED}, expires_at = NULL",
}


@pytest.mark.parametrize("what", GUARDED)
def test_what_only_looks_like_a_settle_is_guarded(tx: Connection, today: Clock, what: str) -> None:
    hold = reserve(tx, 10, p_metadata={"work": "order"}, p_ttl="1 microsecond" if what == "late" else "1 hour")
    reserved_at = ledger(tx, hold).metadata["reserved_at"]
    today.advance(minutes=1)
    tx.execute(f"UPDATE public.cost_tracking SET cost = 7, {GUARDED[what]} WHERE id = %s".encode(), [hold])
    expect(
        ledger(tx, hold),
        cost=7,
        expires_at=None,
        metadata={
            "type": "actual",
            "original_metadata": {"work": "order"},
            "requested_cost": "10",
            "estimated_cost": "10",
            "reserved_at": reserved_at,
            "settled_at": one(tx, "SELECT budget._iso(budget._now()) AS now").now,
        }
        | ({"late": True} if what == "late" else {}),
    )


FORBIDDEN = {
    "cancelled at a cost": """metadata = metadata || '{"type": "cancelled", "settled_at": "then"}'""",
    "another id": f"metadata = metadata || {SETTLED}, id = gen_random_uuid()",
    "another service": f"metadata = metadata || {SETTLED}, service_name = 'other'",
    "another time": f"metadata = metadata || {SETTLED}, created_at = created_at - interval '1 day'",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_only_looks_like_a_settle_and_is_forbidden(tx: Connection, today: Clock, what: str) -> None:
    hold = reserve(tx, 10)
    change = f"UPDATE public.cost_tracking SET cost = 7, expires_at = NULL, {FORBIDDEN[what]} WHERE id = %s"
    with failing(tx, "PB004"):
        tx.execute(change.encode(), [hold])


def test_a_hold_from_before_gets_our_keys_when_it_is_settled(tx: Connection, today: Clock) -> None:
    tx.execute(
        """INSERT INTO public.cost_tracking (id, service_name, cost, metadata, created_at, expires_at)
           VALUES (%s, 'test', 5, '{"type": "reservation", "original_metadata": {}}', %s, %s)""",
        [(hold := uuid4()), today.now, today.now + timedelta(hours=1)],
    )
    expect(call(tx, "settle", hold, 4), status="actual", estimated_cost=5, actual_cost=4, late=False)
    assert {"reserved_at", "estimated_cost", "settled_at"} <= set(ledger(tx, hold).metadata)


@pytest.mark.parametrize(
    "key",
    [
        *("reserved_at", "estimated_cost", "requested_cost", "original_metadata", "extended_at"),
        *("expired_at", "cancelled_at", "settled_at", "late", "over_limit", "type"),
    ],
)
def test_what_settle_is_given_under_our_keys_is_not_kept(tx: Connection, today: Clock, key: str) -> None:
    hold = reserve(tx, 10)
    expect(call(tx, "settle", hold, 9, {key: "forged"}), status="actual", estimated_cost=10, late=False)
    assert "forged" not in str(ledger(tx, hold).metadata)


def test_the_guard_is_not_called_by_an_ordinary_settle(tx: Connection, today: Clock) -> None:
    hold, cancelled = reserve(tx, 10), reserve(tx, 10)
    with tx.transaction(force_rollback=True):
        tx.execute(
            """CREATE OR REPLACE FUNCTION budget._guard_hold() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'called' USING DETAIL = 'So it is.', HINT = 'None.'; END $$"""
        )
        expect(call(tx, "settle", hold, 12, {"model": "large"}), status="actual", actual_cost=12)
        fails(tx, "P0001", "cancel", cancelled)


# --------------------------------------------------------------------------------------------------------- overruns


def overruns(tx: Connection) -> list[str]:
    return sorted(row.severity for row in escalations(tx) if row.kind == "budget_overrun")


def test_an_overrun_with_open_holds_is_a_warning(tx: Connection, clock: Clock) -> None:
    """What is held may yet come to less. Once spend alone has passed the limit, that is told too."""
    held, hold = reserve(tx, 60), reserve(tx, 10)
    call(tx, "settle", hold, 45)
    assert overruns(tx) == ["warning"]
    call(tx, "record", 1, "test")
    assert overruns(tx) == ["warning"]
    call(tx, "settle", held, 61)
    assert overruns(tx) == ["critical", "warning"]


@pytest.mark.parametrize("at", ["2025-10-02 23:00", "2025-10-04 01:00"])
def test_holds_of_another_day_do_not_soften_an_overrun(tx: Connection, clock: Clock, at: str) -> None:
    clock.set(at)
    reserve(tx, 50, p_ttl="20 hours")
    clock.set(NOON)
    call(tx, "record", 101, "test")
    assert overruns(tx) == ["critical"]
