"""The recipe of docs/budgets.md that moves old rows of the ledger to an archive, while everything else goes on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.budgets.standing import drift, members, set_budget
from tests.conftest import Connect
from tests.docs.runner import Page
from tests.docs.test_docs import BUDGETS
from tests.pgtap import is_empty, throws_ok
from tests.race import SECONDS
from tests.rows import Connection, call, expect, one, reserve, rows, spend

[RECIPE] = (
    block["sql"] for block in Page(BUDGETS.name, BUDGETS.read_text("utf-8")).blocks if "archive.move(p_" in block["sql"]
)
NOW = datetime.now(timezone.utc)
CUT = (NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)).replace(day=1)
"""The beginning of last month."""
OLD = CUT - timedelta(days=20)

ALPHA: dict[str, object] = {"team": "alpha"}
BETA: dict[str, object] = {"team": "beta"}


@pytest.fixture
def old(db: Connection) -> Connection:
    """Budgets of every length, rows that are old, and rows that are not."""
    db.execute(RECIPE.encode())
    set_budget(db, "team, ever", 1000, "team", period="total")
    set_budget(db, "all, ever", 1000, period="total", slots=4)
    set_budget(db, "service, ever", 1000, "service", period="total")
    set_budget(db, "team, month", 30, "team", period="month")
    for metadata in (ALPHA, BETA, {}):
        reserve(db, 0, "svc", p_metadata=metadata)
    for number in range(40):
        spend(db, 1, service="svc", at=OLD + timedelta(hours=number), metadata=ALPHA if number % 4 else {})
    spend(db, 2, service="mail", at=OLD, metadata={**BETA, "note": "theirs"})
    spend(db, 7, service="svc", at=CUT, metadata=BETA)
    held = reserve(db, 5, p_metadata=ALPHA)
    call(db, "settle", held, 4)
    reserve(db, 3, p_metadata=ALPHA)
    return db


def move(db: Connection, batch: int = 15) -> int:
    moved = 0
    for _ in range(100):
        found: int = one(db, "SELECT archive.move(%s, %s) AS moved", CUT, batch).moved
        moved += found
        if not found:
            return moved
    raise AssertionError("it does not come to an end")


def standings(db: Connection) -> dict[str, dict[str, Any]]:
    names = ("daily", "team, ever", "all, ever", "service, ever", "team, month")
    return {name: {member: total for member, total in members(db, name).items() if total} for name in names}


def test_windows_that_run_keep_what_they_have_spent(old: Connection) -> None:
    before = standings(old)
    assert before["team, ever"] == {"alpha": 37, "beta": 9}
    assert move(old) == 41
    assert standings(old) == before
    assert drift(old) == []
    old.execute("SELECT budget.prune()")
    assert standings(old) == before
    is_empty(old, "SELECT * FROM budget.invariants")
    expect(call(old, "reserve", 100, "svc", BETA), can_proceed=False)
    # What was carried over is computed like any other row.
    set_budget(old, "team, ever", 40, "team", period="total")
    assert standings(old) == before


def test_the_archive_has_each_row_once_as_it_was(old: Connection) -> None:
    query = "SELECT l.id, l.service_name, l.cost, l.metadata FROM {} AS l WHERE l.created_at < %s ORDER BY l.id"
    before = rows(old, query.format("public.cost_tracking"), CUT)
    move(old)
    assert rows(old, query.format("archive.cost_tracking"), CUT) == before
    left = rows(old, query.format("public.cost_tracking"), CUT)
    assert {(row.service_name, row.metadata.get("team")) for row in left} == {
        ("svc", "alpha"),
        ("svc", None),
        ("mail", "beta"),
    }
    assert all(row.metadata["carried_over"] for row in left)


def test_the_next_run_adds_up_what_was_carried_over(old: Connection) -> None:
    move(old, batch=3)
    before = standings(old)
    later = CUT + timedelta(seconds=1)
    carried = "SELECT FROM public.cost_tracking AS l WHERE l.metadata ? 'carried_over'"
    assert len(rows(old, carried)) > 3
    while one(old, "SELECT archive.move(%s, 1000) AS moved", later).moved:
        pass
    assert len(rows(old, carried)) == 4  # svc of alpha, of beta and of nobody; mail of beta
    assert one(old, "SELECT count(*) AS n FROM archive.cost_tracking").n == 42
    assert standings(old) == before
    assert drift(old) == []


def test_without_a_total_nothing_is_left_behind(old: Connection) -> None:
    for name in ("team, ever", "all, ever", "service, ever"):
        call(old, "drop_budget", name)
    move(old)
    assert rows(old, "SELECT FROM public.cost_tracking AS l WHERE l.created_at < %s", CUT) == []
    assert drift(old) == []


def test_plain_delete_gives_a_total_its_money_back_and_months_nothing(old: Connection) -> None:
    before = standings(old)
    old.execute("DELETE FROM public.cost_tracking WHERE created_at < %s", [CUT])
    after = standings(old)
    assert (after["team, month"], after["daily"]) == (before["team, month"], before["daily"])
    assert after["team, ever"] == {"alpha": 7, "beta": 7}
    assert drift(old) == []


def test_what_a_move_posts_to_windows_long_gone_is_pruned(old: Connection) -> None:
    move(old)
    ended = "SELECT FROM budget.postings AS p WHERE p.ends_at <= now()"
    assert rows(old, ended)
    old.execute("SELECT budget.prune()")
    assert rows(old, ended) == []


def test_open_holds_stay(old: Connection) -> None:
    held = reserve(old, 1, p_metadata=ALPHA)
    old.execute("SET session_replication_role = replica")
    old.execute("UPDATE public.cost_tracking SET created_at = %s WHERE id = %s", [OLD, held])
    old.execute("SET session_replication_role = origin")
    old.execute("SELECT budget.reconcile()")
    move(old)
    assert call(old, "settle", held, 1).status == "actual"


# While all goes on


@pytest.fixture
def busy(db: Connection) -> Connection:
    db.execute(RECIPE.encode())
    call(db, "set_limits", {"emergency_kill": 100_000})
    set_budget(db, "quiet, ever", 1000, "team", member="quiet", period="total", slots=2)
    set_budget(db, "team, ever", 100_000, "team", period="total")
    set_budget(db, "team, month", 50, "team", period="month")
    db.execute(
        """INSERT INTO public.cost_tracking (service_name, cost, metadata, created_at)
           SELECT 'old', 0.5, jsonb_build_object('team', CASE n %% 2 WHEN 0 THEN 'quiet' ELSE 'alpha' END),
                  %s + n * interval '1 second'
             FROM generate_series(1, 2000) AS n""",
        [OLD],
    )
    return db


def test_nobody_notices_the_move(busy: Connection, connect: Connect) -> None:
    """No reservation waits, fails or is granted too much; a total that nobody writes to never seems to have moved."""
    over = threading.Event()
    quiet = "SELECT s.spent FROM budget.budget_status AS s WHERE s.name = 'quiet, ever'"

    def reserving() -> Decimal:
        granted = Decimal(0)
        with psycopg.connect(busy.info.dsn, autocommit=True) as session:
            session.execute("SET lock_timeout = '2s'")
            while not over.is_set():
                verdict = call(session, "reserve", 1, "svc", ALPHA)
                if verdict.can_proceed:
                    granted += 1
                    call(session, "settle", verdict.reservation_id, 1)
        return granted

    def writing() -> Decimal:
        written = Decimal(0)
        with psycopg.connect(busy.info.dsn, autocommit=True) as session:
            while not over.is_set():
                spend(session, Decimal("0.01"), metadata=ALPHA)
                written += Decimal("0.01")
        return written

    def looking() -> set[Decimal]:
        seen = set()
        with psycopg.connect(busy.info.dsn, autocommit=True) as session:
            while not over.is_set():
                seen.add(one(session, quiet).spent)
        return seen

    with ThreadPoolExecutor(5) as threads:
        clients = [threads.submit(job) for job in (reserving, reserving, writing)]
        watching = threads.submit(looking)
        try:
            moved = move(busy, batch=100)
        finally:
            over.set()
        granted, more, written = (client.result(SECONDS) for client in clients)
        seen = watching.result(SECONDS)

    assert moved == 2000
    assert seen == {500}
    assert granted + more >= 1
    spent = granted + more + written
    assert granted + more <= 50
    assert members(busy, "team, month") == {"alpha": spent}
    assert members(busy, "team, ever") == {"alpha": 500 + spent, "quiet": 500}
    busy.execute("SELECT budget.prune()")
    assert drift(busy) == []
    is_empty(busy, "SELECT * FROM budget.invariants")


# Why not partitions


def test_a_partitioned_ledger_cannot_keep_an_id_to_itself(db: Connection) -> None:
    throws_ok(
        db,
        "CREATE TABLE public.parts (LIKE public.cost_tracking INCLUDING ALL) PARTITION BY RANGE (created_at)",
        None,
        "0A000",
        "unique constraint on partitioned table must include all partitioning columns",
    )
    db.execute(
        """ALTER TABLE public.cost_tracking RENAME TO plain;
           CREATE TABLE public.cost_tracking (LIKE public.plain INCLUDING DEFAULTS, PRIMARY KEY (id, created_at))
               PARTITION BY RANGE (created_at);
           CREATE TABLE public.now PARTITION OF public.cost_tracking DEFAULT"""
    )
    for function in ("reserve", "record"):
        throws_ok(db, f"SELECT * FROM budget.{function}(1, 'svc')", None, "42P10", "ON CONFLICT")
