"""What the functions do to their transaction: waits are bounded, the commit is durable, the caller's own is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect
from tests.rows import Connection, as_owner, call, fails, one, reserve
from tests.series import SLOTS

WRITERS: dict[str, Callable[[Connection], Any]] = {
    "check_and_reserve_budget": lambda c: call(c, "public.check_and_reserve_budget", 1, "test"),
    "reserve": lambda c: call(c, "reserve", 1, "test"),
    "reserve, refused": lambda c: call(c, "reserve", 101, "test"),
    "reserve_advisory": lambda c: call(c, "reserve_advisory", 1, "test"),
    "extend": lambda c: call(c, "extend", held(c), 2),
    "settle": lambda c: call(c, "settle", held(c), 1),
    "cancel": lambda c: call(c, "cancel", held(c)),
    "record": lambda c: call(c, "record", 1, "test"),
    "expire": lambda c: call(c, "expire"),
    "set_limits": lambda c: call(c, "set_limits", {"emergency_kill": 70}),
    "freeze": lambda c: call(c, "freeze", "stop"),
    "unfreeze": lambda c: call(c, "unfreeze"),
}


def held(connection: Connection) -> Any:
    return one(connection, "SELECT reservation_id FROM budget.open_holds").reservation_id


def setting(connection: Connection, name: str) -> str:
    value: str = one(connection, "SELECT current_setting(%s) AS value", name).value
    return value


# ------------------------------------------------------------------------------------------------------ lock_timeout


@pytest.mark.parametrize("local", ["", "LOCAL"])
@pytest.mark.parametrize("lock_timeout", ["0", "1ms", "100ms", "5s", "5001ms", "1min", "24d"])
@pytest.mark.parametrize("function", WRITERS)
def test_the_callers_lock_timeout_is_left_as_it_was(
    tx: Connection, function: str, lock_timeout: str, local: str
) -> None:
    reserve(tx)
    tx.execute(f"SET {local} lock_timeout = '{lock_timeout}'".encode())
    WRITERS[function](tx)
    assert setting(tx, "lock_timeout") == lock_timeout


@pytest.mark.parametrize(
    ("lock_timeout", "bound"), [("0", "5s"), ("1min", "5s"), ("5001ms", "5s"), ("5s", "5s"), ("100ms", "100ms")]
)
@pytest.mark.parametrize("function", WRITERS)
def test_a_wait_is_bounded_by_5_seconds_or_less(tx: Connection, function: str, lock_timeout: str, bound: str) -> None:
    reserve(tx)
    tx.execute(
        """CREATE FUNCTION public.note_bound() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN PERFORM set_config('test.bound', current_setting('lock_timeout'), true); RETURN NULL; END$$"""
    )
    for table in ("cost_tracking", "system_config", "escalations"):
        tx.execute(
            f"""CREATE TRIGGER note_bound AFTER INSERT OR UPDATE OR DELETE ON public.{table}
                   EXECUTE FUNCTION public.note_bound()""".encode()
        )
    tx.execute(f"SET LOCAL lock_timeout = '{lock_timeout}'".encode())
    WRITERS[function](tx)
    assert setting(tx, "test.bound") == bound


def test_it_is_left_as_it_was_by_an_error_too(tx: Connection) -> None:
    tx.execute("SET LOCAL lock_timeout = '1min'")
    hold = reserve(tx, 10)
    fails(tx, "PB003", "reserve", 11, "test", p_reservation_id=hold)
    call(tx, "settle", hold, 10)
    fails(tx, "PB004", "settle", hold, 11)
    fails(tx, "PB004", "cancel", hold)
    assert setting(tx, "lock_timeout") == "1min"


def test_nothing_stays_behind_in_the_session(db: Connection) -> None:
    db.execute("SET lock_timeout = '1min'")
    db.execute("SET synchronous_commit = 'off'")
    call(db, "settle", reserve(db), 1)
    assert (setting(db, "lock_timeout"), setting(db, "synchronous_commit")) == ("1min", "off")


# Who waits for whom: the lock that another session holds, and the calls that need it.
EVERYTHING = "LOCK TABLE public.cost_tracking IN ACCESS EXCLUSIVE MODE"
RESERVED = (
    "SELECT budget.reserve_advisory(1, 'other')"
    if SLOTS == 1
    else "SELECT FROM budget.balances FOR UPDATE"  # of slots, another session may have another
)
THE_ROW = "SELECT FROM public.cost_tracking FOR UPDATE"
LIMITS = "SELECT FROM public.system_config FOR UPDATE"
WAITS = [
    *((EVERYTHING, function) for function in ("reserve", "reserve_advisory", "record", "settle", "cancel", "expire")),
    *((RESERVED, function) for function in ("check_and_reserve_budget", "reserve", "reserve_advisory", "extend")),
    *((THE_ROW, function) for function in ("extend", "settle", "cancel")),
    (LIMITS, "set_limits"),
]


@pytest.mark.parametrize(("blocker", "function"), WAITS)
def test_a_shorter_lock_timeout_of_the_callers_bounds_the_wait(
    db: Connection, connect: Connect, blocker: str, function: str
) -> None:
    other, hold = connect(), reserve(db)
    other.execute("SET lock_timeout = '50ms'")
    arguments: dict[str, list[object]] = {"extend": [hold, 2], "settle": [hold, 1], "cancel": [hold], "expire": []}
    with db.transaction():
        db.execute(blocker.encode())
        with pytest.raises(psycopg.errors.LockNotAvailable):
            call(other, function, *arguments[function]) if function in arguments else WRITERS[function](other)
    assert setting(other, "lock_timeout") == "50ms"


@pytest.mark.parametrize(("function", "lock_timeout"), [("reserve", "0"), ("reserve_advisory", "1min")])
def test_no_idle_client_hangs_the_others_for_more_than_5_seconds(
    db: Connection, connect: Connect, function: str, lock_timeout: str
) -> None:
    other = connect(role="app")
    other.execute(f"SET lock_timeout = '{lock_timeout}'".encode())
    with db.transaction():
        reserve(db)
        begin = time.monotonic()
        diag = fails(other, "55P03", function, 1, "test")
        assert time.monotonic() - begin >= 5
    assert "5s" in diag.message_primary
    assert "pg_blocking_pids" in diag.message_hint


# ------------------------------------------------------------------------------------------------ synchronous_commit


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("off", "on"),
        ("local", "on"),
        ("on", "on"),
        ("remote_write", "remote_write"),
        ("remote_apply", "remote_apply"),
    ],
)
@pytest.mark.parametrize("function", WRITERS)
def test_what_is_acknowledged_is_durable(tx: Connection, function: str, before: str, after: str) -> None:
    reserve(tx)
    tx.execute(f"SET LOCAL synchronous_commit = {before}".encode())
    WRITERS[function](tx)
    assert setting(tx, "synchronous_commit") == after


def test_a_plain_role_may_reserve_durably(tx: Connection) -> None:
    tx.execute("SET LOCAL synchronous_commit = off")
    tx.execute("SET LOCAL ROLE app")
    reserve(tx)
    with as_owner(tx):
        assert setting(tx, "synchronous_commit") == "on"


def test_a_check_leaves_it_alone(tx: Connection) -> None:
    tx.execute("SET LOCAL synchronous_commit = off")
    call(tx, "check", 1, "test")
    assert setting(tx, "synchronous_commit") == "off"


# ------------------------------------------------------------------------------------------------- read-only sessions


@pytest.mark.parametrize("function", [name for name in WRITERS if name not in {"unfreeze", "expire"}])  # nothing to do
def test_a_read_only_transaction_gets_the_servers_own_error(db: Connection, function: str) -> None:
    reserve(db)
    with db.transaction():
        db.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), db.transaction():
            WRITERS[function](db)
