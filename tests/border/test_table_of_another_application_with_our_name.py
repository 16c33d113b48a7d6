"""A table that bears one of our names and is another application's: the plan says so, and advises no change of it."""

from __future__ import annotations

import psycopg
import pytest

from pgbudget.plan import plan
from tests import chain
from tests.migration.support import TABLES, one, session
from tests.remedies import pasted, troubles
from tests.rows import Connection, call

STRANGERS = {
    "work_orders": "id bigserial PRIMARY KEY, customer text NOT NULL",
    "system_config": "name text PRIMARY KEY, enabled boolean",
    "escalations": "id uuid PRIMARY KEY, ticket text NOT NULL, level int NOT NULL",
    "proposer_configs": "id int PRIMARY KEY, proposer text",
    "cost_tracking": "id bigserial PRIMARY KEY, project text NOT NULL, amount numeric, day date",
}
KEY_OF_ITS_OWN = "id bigserial PRIMARY KEY, metadata jsonb, updated_at timestamptz"
"""Fits but for the key, to which the application's own tables refer."""


@pytest.mark.parametrize(("table", "columns"), [*STRANGERS.items(), ("work_orders", KEY_OF_ITS_OWN)])
def test_the_plan_says_what_it_looks_like_and_advises_no_change_of_it(empty_dsn: str, table: str, columns: str) -> None:
    with session(empty_dsn) as db:
        db.execute(f"CREATE TABLE public.{table} ({columns})".encode())
        (stop,) = plan(empty_dsn).stops
        assert stop.note.startswith(f"public.{table} is another application's, by its looks: it has the columns ")
        for name, *_ in (column.split() for column in columns.split(", ")):
            assert f"{name} " in stop.note
        rename = f"ALTER TABLE public.{table} RENAME TO another_name"
        assert (stop.remedy or "").count("ALTER ") == 1
        assert rename in (stop.remedy or "")
        assert "a database of its own" in (stop.remedy or "")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            chain.migrate(empty_dsn)
        db.execute(rename.encode())
        chain.migrate(empty_dsn)
        assert call(db, "reserve", 1, "svc").can_proceed


REFUSES_NULL = {
    "a column": "ALTER TABLE public.{0} ADD tenant int NOT NULL DEFAULT 1; "
    "ALTER TABLE public.{0} ALTER tenant DROP DEFAULT",
    "its domain": "CREATE DOMAIN mine AS int NOT NULL DEFAULT 1; ALTER TABLE public.{0} ADD tenant mine; "
    "ALTER DOMAIN mine DROP DEFAULT",
}
"""An application column that every row of ours would lack."""


@pytest.mark.parametrize("table", ["cost_tracking", "escalations", "system_config"])
@pytest.mark.parametrize("change", REFUSES_NULL.values(), ids=list(REFUSES_NULL))
def test_the_doctor_finds_a_column_that_every_insert_of_ours_would_lack(
    dsn: str, db: Connection, change: str, table: str
) -> None:
    db.execute(change.format(table).encode())
    if table == "cost_tracking":
        with pytest.raises(psycopg.errors.NotNullViolation):
            call(db, "reserve", 1, "svc")
    assert [(check, verdict, found) for check, verdict, found, _ in troubles(dsn)] == [
        ("columns", "wrong", f"public.{table}.tenant is NOT NULL, but pgbudget has no value for it")
    ]
    db.execute(f"ALTER TABLE public.{table} ALTER tenant SET DEFAULT 0".encode())
    assert troubles(dsn) == []


def test_the_plan_finds_a_domain_that_refuses_null(empty_dsn: str) -> None:
    with session(empty_dsn) as db:
        db.execute(
            """CREATE DOMAIN mine AS int NOT NULL;
               CREATE TABLE public.cost_tracking (
                   id uuid PRIMARY KEY, service_name text NOT NULL, cost numeric NOT NULL, metadata jsonb,
                   created_at timestamptz, tenant mine
               )"""
        )
        assert [stop.note for stop in plan(empty_dsn).stops] == [
            "public.cost_tracking.tenant is NOT NULL, but pgbudget has no value for it"
        ]


def test_the_doctor_finds_every_table_that_a_crash_would_empty(empty_dsn: str) -> None:
    chain.load(empty_dsn, "budgets")
    with session(empty_dsn) as db:
        tables = ["budget.postings", "budget.balances", "budget.budgets", *(f"public.{table}" for table in TABLES)]
        tables.sort(key=lambda table: table == "public.work_orders")  # which another refers to
        for table in tables:
            db.execute(f"ALTER TABLE {table} SET UNLOGGED".encode())
        found = {
            found.split(" ")[0]: mend for check, _, found, mend in troubles(empty_dsn) if check == "unlogged tables"
        }
        # In the catalog's search_path each is named in full.
        assert found.keys() == set(tables)
        for table in reversed(tables):
            db.execute((pasted(found[table] or "") or "").encode())
        assert troubles(empty_dsn) == []
        assert one(db, "SELECT count(*) FROM pg_class WHERE relpersistence = 'u'") == 0
