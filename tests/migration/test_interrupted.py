"""Run twice, run at once, or killed anywhere: the chain ends in the same schema."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlparse

from pgbudget.embedded import Server
from tests import chain, pgtap
from tests.conftest import Endpoint
from tests.migration.support import (
    APPLICATION,
    CHAIN,
    DAY_INDEX,
    NAMES,
    Connection,
    dump,
    migrate_up_to,
    one,
    psql,
    session,
)
from tests.race import SECONDS, until
from tests.series import SERIES, by_series

pytestmark = pytest.mark.proof

RUN = """
import os, sys
from pgbudget import migrations

dsn, series, die_before = sys.argv[1:]

def step(name):
    if name == die_before:
        os.kill(os.getpid(), 9)

print("ready", flush=True)
sys.stdin.readline()
print(*migrations.migrate(dsn, series=series, on_step=step), flush=True)
"""


@contextmanager
def run(dsn: str, die_before: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that migrates once it is given a line, and kills itself where it is told; killed at the latest here."""
    command = [sys.executable, "-c", RUN, dsn, SERIES, die_before]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def start(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def whole(server: Server, endpoint: Endpoint, application_roles: None) -> str:
    """The schema that an undisturbed run gives an application's database."""
    with endpoint.database("whole"):
        psql(server, server.dsn("whole"), APPLICATION)
        chain.migrate(server.dsn("whole"))
        return dump(server, server.dsn("whole"))


def test_twice(server: Server, application_dsn: str, whole: str) -> None:
    assert chain.migrate(application_dsn) == NAMES
    assert chain.migrate(application_dsn) == []
    assert dump(server, application_dsn) == whole


def test_four_at_once(server: Server, application_dsn: str, whole: str) -> None:
    with run(application_dsn) as a, run(application_dsn) as b, run(application_dsn) as c, run(application_dsn) as d:
        for process in (a, b, c, d):
            start(process)
        applied = [process.communicate(timeout=SECONDS)[0].split() for process in (a, b, c, d)]
        assert [process.returncode for process in (a, b, c, d)] == [0] * 4
    assert sorted(applied) == [[], [], [], NAMES]
    assert dump(server, application_dsn) == whole


def test_killed_before_each_migration(server: Server, application_dsn: str, whole: str) -> None:
    """One run after the other gets one migration further, and dies."""
    for name in NAMES[1:]:
        with run(application_dsn, die_before=name) as process:
            start(process)
            assert process.wait(SECONDS) == -9
        assert chain.pending(application_dsn)[0] == name
    assert chain.migrate(application_dsn) == NAMES[-1:]
    assert dump(server, application_dsn) == whole


def test_applied_but_not_marked(server: Server, application_dsn: str, whole: str) -> None:
    """A kill between a migration's commit and its mark: it runs again, over what it did."""
    with session(application_dsn) as db:
        for done in range(len(NAMES)):
            chain.migrate(application_dsn)
            chain.rollback(application_dsn, count=len(NAMES) - done - 1)
            db.execute("DELETE FROM _yoyo_migration WHERE migration_id = %s", [NAMES[done]])
            assert chain.migrate(application_dsn) == NAMES[done:]
            assert dump(server, application_dsn) == whole, NAMES[done]


def test_nothing_is_marked(server: Server, application_dsn: str, whole: str) -> None:
    """As after a restore without yoyo's tables: the whole chain runs again over the whole schema."""
    chain.migrate(application_dsn)
    with session(application_dsn) as db:
        db.execute("DELETE FROM _yoyo_migration")
    assert chain.migrate(application_dsn) == NAMES
    assert dump(server, application_dsn) == whole


def test_psql_killed_between_two_statements(server: Server, application_dsn: str, whole: str) -> None:
    """Without a transaction around a file, a kill leaves some of its statements done: they are done again."""
    for path in CHAIN:
        statements = sqlparse.split(path.read_text())
        by_hand = [n for n, statement in enumerate(statements) if "DO $do$" in statement]
        for done in sorted({n + after for n in by_hand for after in (0, 1)} | {1, len(statements)}):
            with session(application_dsn) as db:
                for statement in statements[:done]:
                    db.execute(statement.encode())
    assert dump(server, application_dsn) == whole


@pytest.mark.parametrize(
    "name",
    [
        "0002.pgbudget_tables",
        "0004.pgbudget_takeover",
        "0005.pgbudget_validate",
        *by_series(core=[], budgets=["0004.pgbudget_budgets_takeover"]),
    ],
)
def test_killed_while_it_waits_for_the_ledger(server: Server, application_dsn: str, whole: str, name: str) -> None:
    """What a killed run still does in the server is awaited, not raced."""
    migrate_up_to(application_dsn, name)
    with psycopg.connect(application_dsn) as busy, run(application_dsn) as process:
        busy.execute("LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE")
        start(process)
        with session(application_dsn) as watch:
            locked_out = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
            until(lambda: one(watch, locked_out), "the migration to wait")
        process.kill()
        process.wait(SECONDS)
    assert chain.migrate(application_dsn) == NAMES[NAMES.index(name) :]
    assert dump(server, application_dsn) == whole


# ---------------------------------------------------------------------------------------------- the index, concurrently

INDEX, COLUMNS, MIGRATION = by_series(
    core=("budget_day_idx", DAY_INDEX, "0006.pgbudget_day_index"),
    budgets=("budget_expiry_idx", ["expires_at"], "0002.pgbudget_budgets_expiry_index"),
)
BUILDS = "SELECT count(*) FROM pg_stat_progress_create_index"
INDEX_IS_VALID = f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('public.{INDEX}')"
FROM_THE_INDEX_ON = NAMES.index(MIGRATION)


@contextmanager
def building(dsn: str) -> Iterator[tuple[subprocess.Popen[str], Connection]]:
    """A run in the middle of CREATE INDEX CONCURRENTLY, which waits for another's transaction; and a connection."""
    migrate_up_to(dsn, MIGRATION)
    with psycopg.connect(dsn) as writer, session(dsn) as watch, run(dsn) as process:
        writer.execute("INSERT INTO public.cost_tracking (cost, service_name) VALUES (0, 'slow')")
        start(process)
        waiting = "SELECT count(*) FROM pg_stat_progress_create_index WHERE lockers_total > 0"
        until(lambda: one(watch, waiting) == 1, "the index to wait for a transaction")
        assert watch.execute(INDEX_IS_VALID.encode()).fetchall() == [(False,)]
        yield process, watch
        writer.rollback()


def test_killed_in_the_middle_of_the_index(server: Server, application_dsn: str, whole: str) -> None:
    with building(application_dsn) as (process, _):
        process.kill()
        process.wait(SECONDS)
    # The server ends what it was doing; the next run waits for that.
    assert chain.migrate(application_dsn) == NAMES[FROM_THE_INDEX_ON:]
    assert dump(server, application_dsn) == whole


def test_an_invalid_index_is_built_anew(server: Server, application_dsn: str, whole: str) -> None:
    with building(application_dsn) as (process, watch):
        process.kill()
        process.wait(SECONDS)
        watch.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
        until(lambda: one(watch, BUILDS) == 0, "the build to end")
        assert one(watch, INDEX_IS_VALID) is False
    with session(application_dsn) as db:
        left_over = one(db, f"SELECT 'public.{INDEX}'::regclass::oid")
        assert chain.migrate(application_dsn) == NAMES[FROM_THE_INDEX_ON:]
        pgtap.has_index(db, "public.cost_tracking", INDEX, COLUMNS)
        assert one(db, f"SELECT 'public.{INDEX}'::regclass::oid") != left_over
    assert dump(server, application_dsn) == whole


def test_an_invalid_index_is_built_anew_by_psql(server: Server, application_dsn: str, whole: str) -> None:
    with building(application_dsn) as (process, watch):
        process.kill()
        watch.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
        until(lambda: one(watch, BUILDS) == 0, "the build to end")
    psql(server, application_dsn, *CHAIN[FROM_THE_INDEX_ON:])
    with session(application_dsn) as db:
        pgtap.has_index(db, "public.cost_tracking", INDEX, COLUMNS)
    assert dump(server, application_dsn) == whole


# ---------------------------------------------------------------------------------------------------------- yoyo's lock


def test_a_stale_lock_of_yoyo_does_not_stop_the_next_run(server: Server, application_dsn: str, whole: str) -> None:
    with run(application_dsn, die_before="0004.pgbudget_takeover") as process:
        start(process)
        process.wait(SECONDS)
    with session(application_dsn) as db:
        assert one(db, "SELECT count(*) FROM yoyo_lock") == 1  # of the killed run
        db.execute("UPDATE yoyo_lock SET pid = 999999")  # as of a plain `yoyo apply` that was killed
    assert chain.migrate(application_dsn) == NAMES[3:]
    assert dump(server, application_dsn) == whole
    with session(application_dsn) as db:
        assert one(db, "SELECT count(*) FROM yoyo_lock") == 0
