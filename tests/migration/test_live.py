"""A database in use is migrated under its users: nobody waits for long, nobody gets an error or a wrong answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import TypeVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget.embedded import Server
from tests import chain, pgtap
from tests.conftest import Endpoint
from tests.migration.support import (
    APPLICATION,
    DAY_INDEX,
    NAMES,
    Connection,
    found,
    migrate_up_to,
    one,
    psql,
    session,
)
from tests.race import SECONDS, until
from tests.series import by_series

pytestmark = pytest.mark.proof

T = TypeVar("T")

LEDGER_ROWS = 1_000_000
LONG_SHARE = 0.5
"""Of the time that a migration takes: whoever waits for its end, or for its longest step, waits for more than that."""
FILL = f"""
ALTER TABLE cost_tracking DROP CONSTRAINT cost_tracking_pkey;
DELETE FROM cost_tracking;
INSERT INTO cost_tracking (service_name, cost, created_at)
SELECT 'old', 0.0125, now() - interval '2 days' - n * interval '2 seconds' FROM generate_series(1, {LEDGER_ROWS}) AS n;
ALTER TABLE cost_tracking ADD PRIMARY KEY (id);
"""
COST = Decimal("0.0001")


@pytest.fixture(scope="module")
def long_ledger(server: Server, endpoint: Endpoint, application_roles: None) -> Iterator[str]:
    """The name of a template: the application's database, with a long ledger and nothing spent today."""
    with endpoint.database("long"):
        psql(server, server.dsn("long"), APPLICATION)
        with session(server.dsn("long")) as db:
            db.execute(FILL.encode())
        yield "long"


@pytest.fixture
def live_dsn(server: Server, endpoint: Endpoint, long_ledger: str) -> Iterator[str]:
    """A clone of it."""
    with endpoint.database("live", long_ledger):
        yield server.dsn("live")


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Show a figure that was measured, whatever pytest captures."""

    def show(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    return show


@contextmanager
def clients(count: int, work: Callable[[threading.Event], T]) -> Iterator[list[Future[T]]]:
    """Clients that work until the body has ended."""
    stop = threading.Event()
    with ThreadPoolExecutor(count) as pool:
        try:
            yield [pool.submit(work, stop) for _ in range(count)]
        finally:
            stop.set()


def write_steadily(db: Connection, stop: threading.Event, waits: list[float]) -> None:
    """50 direct inserts a second, each with the seconds it took."""
    due = time.monotonic()
    while not stop.is_set():
        begin = time.monotonic()
        db.execute("INSERT INTO cost_tracking (service_name, cost) VALUES ('writer', 0.0001)")
        waits.append(time.monotonic() - begin)
        due += 1 / 50
        time.sleep(max(0, due - time.monotonic()))


def test_a_writer_never_waits_for_long(live_dsn: str, report: Callable[[str], None]) -> None:
    waits: list[float] = []

    def write(stop: threading.Event) -> None:
        with session(live_dsn) as db:
            write_steadily(db, stop, waits)

    with clients(1, write) as (writer,):
        until(lambda: len(waits) > 10, "ten inserts")
        begin = time.monotonic()
        assert chain.migrate(live_dsn) == NAMES
        seconds = time.monotonic() - begin
        meanwhile = len(waits)
    writer.result()
    report(f"{LEDGER_ROWS} rows migrated in {seconds:.1f} s; {meanwhile} inserts, the longest {max(waits):.3f} s")
    with session(live_dsn) as db:
        assert one(db, "SELECT count(*) FROM cost_tracking WHERE service_name = 'writer'") == len(waits)
        pgtap.has_index(db, "public.cost_tracking", "budget_day_idx", DAY_INDEX)
    assert max(waits) < LONG_SHARE * seconds


def test_callers_of_the_handovers_function_get_right_answers(live_dsn: str, report: Callable[[str], None]) -> None:
    """All the way there, and all the way back."""
    answers: list[tuple[bool, Decimal]] = []
    waits: list[float] = []

    def call(stop: threading.Event) -> None:
        with session(live_dsn) as db:
            while not stop.is_set():
                begin = time.monotonic()
                row = db.execute("SELECT * FROM check_and_reserve_budget(%s, 'caller', '{}')", [COST]).fetchone()
                waits.append(time.monotonic() - begin)
                assert row is not None
                answers.append(row[:2])

    with clients(4, call) as callers:
        until(lambda: len(answers) > 8, "answers")
        begin = time.monotonic()
        assert chain.migrate(live_dsn) == NAMES
        seconds = time.monotonic() - begin
        have = len(answers)
        longest = max(waits)
        until(lambda: len(answers) > have + 100, "answers of ours")
        assert chain.rollback(live_dsn, all=True) == NAMES[::-1]
        back = len(answers)
        until(lambda: len(answers) > back + 8, "answers of theirs")
    for caller in callers:
        caller.result()
    report(f"migrated in {seconds:.1f} s under 4 callers; {have} calls meanwhile, the longest {longest:.3f} s")
    # One after the other: each saw all those before it, and nothing else.
    assert sorted(answers) == [(True, COST * n) for n in range(len(answers))]


# ------------------------------------------------------------------------------------------------------- a busy ledger

# The migration, and what another transaction holds that it cannot go past.
BUSY = [
    ("0002.pgbudget_tables", "INSERT INTO cost_tracking (cost, service_name) VALUES (0, 'slow')"),
    ("0002.pgbudget_tables", "INSERT INTO escalations (trigger_type, context) VALUES ('slow', '{}')"),
    ("0004.pgbudget_takeover", "INSERT INTO cost_tracking (cost, service_name) VALUES (0, 'slow')"),
    ("0005.pgbudget_validate", "LOCK TABLE cost_tracking IN SHARE UPDATE EXCLUSIVE MODE"),
    ("0007.pgbudget_open_holds", "UPDATE cost_tracking SET region = 'us' WHERE service_name = 'today''s hold'"),
    *by_series(
        core=[],
        budgets=[
            ("0004.pgbudget_budgets_takeover", "INSERT INTO cost_tracking (cost, service_name) VALUES (0, 'slow')")
        ],
    ),
]


@pytest.mark.parametrize(("name", "held"), BUSY)
def test_a_busy_ledger_stops_the_migration_cleanly(server: Server, application_dsn: str, name: str, held: str) -> None:
    """The ledger's writers go on meanwhile, and the next run resumes."""
    remaining = NAMES[NAMES.index(name) :]
    migrate_up_to(application_dsn, name)
    as_found = found(server, application_dsn)
    waits: list[float] = []

    def write(stop: threading.Event) -> None:
        with session(application_dsn) as db:
            write_steadily(db, stop, waits)
            db.execute("DELETE FROM cost_tracking WHERE service_name = 'writer'")

    with psycopg.connect(application_dsn) as slow, clients(1, write) as (writer,):
        slow.execute(held.encode())
        begin = time.monotonic()
        with pytest.raises(psycopg.errors.LockNotAvailable, match=f"^{name}: ") as caught:
            chain.migrate(make_conninfo(application_dsn, options="-c pgbudget.lock_patience=1s"))
        seconds = time.monotonic() - begin
        slow.rollback()
    writer.result()
    assert caught.value.diag.message_hint is not None
    assert "migrate again" in caught.value.diag.message_hint
    assert max(waits) < LONG_SHARE * seconds
    assert found(server, application_dsn) == as_found
    assert chain.migrate(application_dsn) == remaining


def test_the_index_waits_for_a_long_transaction_and_nobody_for_the_index(application_dsn: str) -> None:
    """The index waits until the transaction is over: that harms nobody, whichever way they write or reserve."""
    migrate_up_to(application_dsn, "0006.pgbudget_day_index")
    calls = (
        "INSERT INTO cost_tracking (cost, service_name) VALUES (0, 'direct')",
        "SELECT can_proceed FROM check_and_reserve_budget(1, 'table')",
        "SELECT can_proceed FROM budget.reserve_advisory(1, 'advisory')",
        "SELECT status FROM budget.record(1, 'recorded')",
    )
    with (
        psycopg.connect(application_dsn) as slow,
        session(application_dsn) as watch,
        session(application_dsn, options="-c lock_timeout=1ms") as db,  # any wait would be an error
        ThreadPoolExecutor(1) as pool,
    ):
        slow.execute("INSERT INTO cost_tracking (cost, service_name) VALUES (0, 'slow')")
        run = pool.submit(chain.migrate, application_dsn)
        waiting = "SELECT count(*) FROM pg_stat_progress_create_index WHERE lockers_total > 0"
        until(lambda: one(watch, waiting) == 1, "the index to wait for a transaction")
        for call in calls:
            db.execute(call.encode())
        assert not run.done()
        slow.commit()
        assert run.result(SECONDS) == NAMES[NAMES.index("0006.pgbudget_day_index") :]


def test_autovacuum_gives_way() -> None:
    """It does so only for whoever waits longer than a try for a strong lock does."""
    with Server(settings={"fsync": "off", "autovacuum_naptime": "1s"}) as server, session(server.dsn()) as db:
        migrate_up_to(server.dsn(), "0003.pgbudget_functions")
        db.execute(
            """ALTER TABLE cost_tracking SET (
                autovacuum_vacuum_insert_threshold = 1, autovacuum_vacuum_insert_scale_factor = 0,
                autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)"""
        )
        db.execute("INSERT INTO cost_tracking (cost, service_name) SELECT 1, 'a' FROM generate_series(1, 20000)")
        vacuumed = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'cost_tracking'::regclass"
        until(lambda: one(db, vacuumed) == 1, "autovacuum")
        assert chain.migrate(make_conninfo(server.dsn(), options="-c pgbudget.lock_patience=5s")) == NAMES[2:]
