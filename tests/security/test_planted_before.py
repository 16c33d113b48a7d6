"""Functions and operators that others planted in public before the migration are never called, nor built in.

Until PostgreSQL 15 everybody could create there, and an upgraded database keeps that. An operator that matches the
arguments' types exactly wins over pg_catalog's own, wherever the search path leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget.embedded import Server
from tests import chain
from tests.pgtap import results_eq, throws_ok
from tests.rows import Connection

# Argument types that occur in the migrations, and that no function or operator of pg_catalog takes exactly.
OPERANDS = (
    ("numeric", "integer"), ("oid", "regrole"), ("oid", "regnamespace"), ("oid", "regclass"), ("regrole", "oid"),
    ("regclass", "oid"), ("regprocedure", "oid"), ("name", "varchar"), ("oid", "regprocedure"), ("bigint", "numeric"),
)  # fmt: skip
FORMATTED = (
    "text", "name", "regclass", "regrole", "text, text", "regclass, text", "regclass, regrole", "regprocedure, text",
    "regprocedure, regrole", "regnamespace, regrole", "bigint, text, text", "text, integer", "text, bigint",
)  # fmt: skip
FUNCTIONS = (
    *(f"format(text, {arguments})" for arguments in FORMATTED),
    "concat_ws(text, text, text)", "concat_ws(text, text, text, text)", "to_regclass(varchar)", "to_regrole(varchar)",
    "jsonb_build_object(text, text)", "jsonb_build_object(text, text, text, jsonb)", "quote_ident(name)",
    "count(regclass)", "starts_with(name, text)", "obj_description(regclass, text)",
    "obj_description(regprocedure, text)",
)  # fmt: skip

TRAP = "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a planted function was called'; END$$"


def planted() -> Iterator[str]:
    for function in FUNCTIONS:
        yield f"CREATE FUNCTION public.{function} RETURNS text {TRAP}"
    for left, right in OPERANDS:
        yield f"CREATE FUNCTION public.trap({left}, {right}) RETURNS boolean {TRAP}"
        for sign in ("=", "<>", "<", ">=", "<=", ">"):
            yield f"CREATE OPERATOR public.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.trap)"


@pytest.fixture
def database(server: Server, empty_dsn: str, roles: None) -> Iterator[Connection]:
    """A database with everything planted, and some default privileges, so that no branch of the files is spared."""
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO nobody")
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon")
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO anon")
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO anon")
        with psycopg.connect(make_conninfo(empty_dsn, user="nobody"), autocommit=True) as nobody:
            for statement in planted():
                nobody.execute(statement.encode())
        yield connection


def test_the_trap_works(database: Connection) -> None:
    throws_ok(database, "SELECT 1.5 >= 1", None, "P0001", "planted")


def test_the_migrations_neither_call_nor_use_them(database: Connection, empty_dsn: str) -> None:
    chain.migrate(empty_dsn)
    throws_ok(database, "INSERT INTO public.cost_tracking (service_name, cost) VALUES ('mine', -1)", None, "23514")
    results_eq(database, "SELECT can_proceed FROM budget.reserve(1, 'mine')", [(True,)])
    database.execute("DROP OWNED BY nobody RESTRICT")  # nothing of ours depends on them


def test_nor_does_the_way_back(database: Connection, empty_dsn: str) -> None:
    applied = chain.migrate(empty_dsn)
    assert chain.rollback(empty_dsn, all=True) == applied[::-1]
