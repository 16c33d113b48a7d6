"""`pgbudget lock`, doctor and status find who holds the decision lock, who waits behind it, and what ends it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import locks, migrations
from pgbudget.embedded import Server
from tests.cli.command import invoke
from tests.cli.terminal import COLUMNS
from tests.conftest import Connect
from tests.race import SECONDS, until
from tests.rows import one
from tests.series import SERIES

Connection = psycopg.Connection[Any]

HOLDS = {
    "reserve": "SELECT budget.reserve(1, 'idle')",
    "reserve_advisory": "SELECT budget.reserve_advisory(1, 'idle')",
    "the key": f"SELECT pg_advisory_xact_lock({locks.KEY})",
    "the table": "LOCK TABLE public.cost_tracking IN EXCLUSIVE MODE",
}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction is in the way at once, not after 5 s."""
    monkeypatch.setattr(locks, "PATIENCE", timedelta(0))


@contextmanager
def waiting(connection: Connection, watcher: Connection) -> Iterator[list[str | None]]:
    """Somebody who decides, and has to wait until the block ends what keeps it; its SQLSTATE if it fails."""
    state: list[str | None] = []
    pid = connection.info.backend_pid

    def decide() -> None:
        try:
            connection.execute("SELECT budget.reserve_advisory(1, 'waiting')")
            state.append(None)
        except psycopg.Error as error:
            state.append(error.sqlstate)

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        query = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted AND waitstart IS NOT NULL"
        until(lambda: one(watcher, query, pid).count, "a waiter")
        yield state
    finally:
        thread.join(SECONDS)


def told(dsn: str) -> Any:
    return json.loads(invoke("lock", "--json", dsn=dsn).out)


@pytest.mark.parametrize("how", HOLDS)
def test_it_is_found_with_those_behind_it_and_its_remedy_ends_it(
    dsn: str, connect: Connect, db: Connection, how: str
) -> None:
    idle = connect(autocommit=False, application_name="left alone")
    idle.execute(HOLDS[how].encode())
    waiter = connect(role="app", application_name="billing")
    with waiting(waiter, db) as state:
        found = told(dsn)
        [holder], [behind] = found["holders"], found["waiting"]
        assert (holder["pid"], holder["role"], holder["application"], holder["state"], holder["stuck"]) == (
            idle.info.backend_pid, "postgres", "left alone", "idle in transaction", True,
        )  # fmt: skip
        assert holder["query"] == HOLDS[how]
        assert holder["waiting"] == [behind["pid"]] == [waiter.info.backend_pid]
        assert (behind["role"], behind["behind"]) == ("app", [idle.info.backend_pid])

        shown = invoke("lock", dsn=dsn)
        assert (shown.code, shown.err) == (1, "")
        assert f"x process {idle.info.backend_pid}, postgres, left alone" in shown.out
        assert f"to end it: {holder['end']}" in shown.out
        assert f"behind {idle.info.backend_pid}" in shown.out.partition("Waiting")[2]
        assert max(map(len, shown.out.splitlines())) <= COLUMNS
        assert "in its transaction, and keeps 1 waiting" in invoke("status", dsn=dsn).out.replace("\n", "")
        [check] = [
            c for c in json.loads(invoke("doctor", "--json", dsn=dsn).out)["checks"] if c["name"] == "decision lock"
        ]
        assert (check["verdict"], [finding["mend"] for finding in check["findings"]]) == ("wrong", [holder["end"]])

        db.execute(holder["end"].encode())
        idle.close()
    assert state == [None]
    assert told(dsn) == {"holders": [], "waiting": []}
    shown = invoke("lock", dsn=dsn)
    assert (shown.code, shown.out) == (0, "nobody holds the decision lock, or waits for it\n")


def test_a_reader_sees_who_it_is_and_is_told_what_it_may_not_see(dsn: str, connect: Connect, db: Connection) -> None:
    db.execute("CREATE ROLE lock_reader LOGIN IN ROLE budget_reader")
    try:
        idle = connect(autocommit=False, application_name="left alone")
        idle.execute("SELECT budget.reserve(1, 'secret of others')")
        theirs = make_conninfo(dsn, user="lock_reader")
        with waiting(connect(role="app"), db) as state:
            shown = invoke("lock", dsn=theirs)
            [holder] = told(theirs)["holders"]
            assert (holder["hidden"], holder["state"], holder["query"], holder["pid"]) == (
                True, None, "", idle.info.backend_pid,
            )  # fmt: skip
            assert shown.code == 1, "somebody waits, which everybody may see"
            assert "pg_read_all_stats" in shown.out
            assert "secret" not in shown.out
            idle.rollback()
        assert state == [None]
    finally:
        db.execute("DROP ROLE lock_reader")


def test_a_row_that_a_call_waits_for(dsn: str, connect: Connect, db: Connection) -> None:
    """Nobody holds the decision lock, and still somebody waits."""
    key = one(db, "SELECT reservation_id FROM budget.reserve(1, 'svc')").reservation_id
    idle, waiter = connect(autocommit=False), connect()
    idle.execute("SELECT FROM public.cost_tracking WHERE id = %s FOR UPDATE", [key])
    assert told(dsn)["holders"] == []
    thread = threading.Thread(target=waiter.execute, args=("SELECT budget.settle(%s, 1)", [key]))
    thread.start()
    until(
        lambda: one(db, "SELECT count(*) FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL").count, "a waiter"
    )
    [holder] = told(dsn)["holders"]
    idle.rollback()
    thread.join(SECONDS)
    assert (holder["pid"], holder["decides"], holder["waiting"]) == (
        idle.info.backend_pid, False, [waiter.info.backend_pid],
    )  # fmt: skip


def test_a_prepared_transaction() -> None:
    """No session has it, and it holds its locks for ever. It takes a server that allows them."""
    with Server(settings={"fsync": "off", "max_prepared_transactions": "1"}) as server:
        dsn = server.dsn()
        migrations.migrate(dsn, series=SERIES)
        with psycopg.connect(dsn, autocommit=True) as db, psycopg.connect(dsn, autocommit=True) as waiter:
            db.execute("BEGIN; SELECT budget.reserve(1, 'forgotten'); PREPARE TRANSACTION 'it''s \x1b[31m'")
            with waiting(waiter, db) as state:
                [holder] = told(dsn)["holders"]
                shown = invoke("lock", dsn=dsn)
                assert (holder["pid"], holder["gid"], holder["stuck"]) == (None, "it's \x1b[31m", True)
                assert holder["waiting"] == [waiter.info.backend_pid]
                assert r"x prepared transaction it's \x1b[31m, postgres" in shown.out
                assert "behind a prepared transaction" in shown.out
                db.execute(holder["end"].encode())
            assert state == [None]


def test_it_waits_for_nobody(dsn: str, connect: Connect) -> None:
    connect(autocommit=False).execute("LOCK TABLE public.cost_tracking IN ACCESS EXCLUSIVE MODE")
    assert invoke("lock", dsn=dsn).code == 1


def test_who_works_is_not_in_the_way(dsn: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    connect(autocommit=False).execute("SELECT budget.reserve(1, 'svc')")
    shown = invoke("lock", dsn=dsn)
    assert (shown.code, shown.out[0]) == (0, "+")
    assert "decision lock" not in invoke("status", dsn=dsn).out
