"""What others planted in a schema of the DBA's own search_path is called by no command, look or run of ours.

Every function and operator here would win over pg_catalog's own, because the path names its schema first.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import Budget
from pgbudget.replay.run import prices_in
from tests import chain
from tests.cli.command import invoke
from tests.rows import Connection
from tests.series import SERIES

pytestmark = pytest.mark.proof

TRAP = "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a planted function was called'; END$$"
OPERANDS = (
    ("text", "text"), ("timestamptz", "timestamptz"), ("timestamptz", "interval"), ("interval", "interval"),
    ("numeric", "numeric"), ("numeric", "integer"), ("oid", "oid"), ("name", "name"), ("name", "text"),
    ("name", "varchar"), ("bigint", "bigint"), ("integer", "integer"), ("jsonb", "text"), ("date", "date"),
    ("varchar", "text"), ("text", "varchar"), ("interval", "integer"),
)  # fmt: skip
FUNCTIONS = (
    "to_char(timestamptz, text)", "clock_timestamp()", "now()", "count(integer)", "current_schemas(boolean)",
    "to_regclass(text)", "to_regprocedure(text)", "to_regrole(text)", "to_regnamespace(text)", "format(text, text)",
    "coalesce_(text)", "generate_series(timestamp, timestamp, interval)", "pg_has_role(name, name, text)",
    "pg_has_role(oid, oid, text)", "pg_backend_pid()", "set_config(text, text, boolean)", "jsonb_typeof(jsonb)",
    "timezone(text, timestamptz)", "timezone(text, timestamp)", "pg_try_advisory_lock(bigint)", "left(text, integer)",
    "has_table_privilege(oid, regclass, text)", "pg_advisory_lock_shared(bigint)", "obj_description(oid, name)",
    "trim_scale(numeric)", "greatest_(numeric)", "date_trunc(text, timestamptz)", "array_length(anyarray, integer)",
    "current_database()", "version()", "cardinality(anyarray)", "quote_ident(text)", "starts_with(text, text)",
)  # fmt: skip


def planted() -> Iterator[str]:
    for function in FUNCTIONS:
        yield f"CREATE FUNCTION evil.{function} RETURNS text {TRAP}"
    for left, right in OPERANDS:
        yield f"CREATE FUNCTION evil.trap({left}, {right}) RETURNS boolean {TRAP}"
        for sign in ("=", "<>", "<", ">=", "<=", ">", "+", "-", "*", "/", "||", "->", "->>", "~", "@>", "?"):
            yield f"CREATE OPERATOR evil.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = evil.trap)"
    for name in ("text", "jsonb", "uuid", "timestamptz", "regclass", "oid", "name"):
        yield f"CREATE FUNCTION evil.no_{name}(pg_catalog.{name}) RETURNS boolean {TRAP}"
        yield f"CREATE DOMAIN evil.{name} AS pg_catalog.{name} CHECK (evil.no_{name}(VALUE))"
    for view in (
        "pg_roles",
        "pg_class",
        "pg_locks",
        "pg_stat_activity",
        "pg_namespace",
        "pg_proc",
        "pg_timezone_names",
    ):
        yield f"CREATE VIEW evil.{view} AS SELECT evil.now() AS oid"


@pytest.fixture
def evil_dsn(dsn: str, db: Connection, roles: None) -> Iterator[str]:
    """This test's database, where the DBA's path leads through a schema in which `nobody` has planted everything."""
    db.execute("CREATE SCHEMA evil AUTHORIZATION nobody")
    with psycopg.connect(make_conninfo(dsn, user="nobody"), autocommit=True) as nobody:
        for statement in planted():
            nobody.execute(statement.encode())
    yield make_conninfo(dsn, options="-csearch_path=evil,pg_catalog,public")
    db.execute("DROP OWNED BY nobody CASCADE")


def test_the_trap_works(evil_dsn: str) -> None:
    with psycopg.connect(evil_dsn) as connection, pytest.raises(psycopg.errors.RaiseException, match="planted"):
        connection.execute("SELECT now()")


COMMANDS = (
    ["doctor"], ["migrate", "--plan"], ["migrate"], ["migrate", "--grant-to", "nobody"], ["status"], ["holds"],
    ["holds", "--service", "svc", "--older-than", "1h"], ["watch", "--count", "1"], ["report", "--out", "-"],
    ["limits"], ["limits", "set", "emergency_kill=70"], ["freeze", "why"], ["unfreeze"], ["expire"],
    ["reserve", "1", "svc"], ["record", "1", "svc"], ["rollback", "--yes"], ["rollback", "--all", "--yes"],
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_calls_none_of_it(command: list[str], evil_dsn: str, db: Connection) -> None:
    with Budget(db) as budget:
        assert budget.reserve(1, "svc")
        budget.record(1, "svc")
    if command[0] == "rollback" and SERIES == "budgets":
        command = [*command, "--series", "budgets"]
    done = invoke(*command, dsn=evil_dsn)
    assert "planted" not in done.out + done.err
    assert done.code == 0, done.out + done.err


def test_nor_does_the_driver(evil_dsn: str) -> None:
    with Budget(evil_dsn) as budget:
        verdict = budget.reserve(1, "svc", {"a": 1})
        assert verdict.reservation_id
        assert budget.settle(verdict.reservation_id, 1, {"b": 2}).status == "actual"
        assert budget.status().settled == 1
        assert budget.estimate_from_history("svc").samples == 1
        budget.escalate("a", "b", "c")


def test_nor_does_a_replay_that_reads_the_prices(evil_dsn: str, db: Connection) -> None:
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
           VALUES ('a', 'm', 'p', '{"input_cost_per_token": 0.1, "output_cost_per_token": 0.2}')"""
    )
    assert prices_in(evil_dsn) == {"a": (Decimal("0.1"), Decimal("0.2"))}


def test_a_whole_run_calls_none_of_it(empty_dsn: str, roles: None) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA evil AUTHORIZATION nobody")
        with psycopg.connect(make_conninfo(empty_dsn, user="nobody"), autocommit=True) as nobody:
            for statement in planted():
                nobody.execute(statement.encode())
        evil = make_conninfo(empty_dsn, options="-csearch_path=evil,pg_catalog")
        applied = chain.migrate(evil)
        assert applied == [file.stem for file in chain.files()]
        assert chain.rollback(evil, all=True) == applied[::-1]
        connection.execute("DROP OWNED BY nobody CASCADE")
