"""Row security on our tables, whose owner is no superuser: every answer is the whole one, or an error. Never a part."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from pgbudget.embedded import Server
from tests import chain
from tests.conftest import Endpoint
from tests.rows import Connection
from tests.security.calls import CALLS, LEDGER_VIEWS, TABLES, VIEWS, populate

STATEMENTS = {**CALLS, **{view: f"SELECT * FROM {view}" for view in VIEWS}}
HIDDEN = "query would be affected by row-level security policy"

POLICIES = {
    "no policy": "",
    "some rows": "CREATE POLICY half ON {} USING (md5(ctid::text) < '8')",
    "no rows": "CREATE POLICY half ON {} USING (false) WITH CHECK (true)",
}


@pytest.fixture(scope="module")
def dba(server: Server, endpoint: Endpoint, template: NoopExecutor) -> Iterator[Connection]:
    """The owner of a migrated database with spend in it, a plain role."""
    with psycopg.connect(server.dsn(), autocommit=True) as superuser:
        superuser.execute("CREATE ROLE dba LOGIN")
        with endpoint.database("owned"):
            superuser.execute("ALTER DATABASE owned OWNER TO dba")
            dsn = psycopg.conninfo.make_conninfo(server.dsn("owned"), user="dba")
            chain.migrate(dsn)
            with psycopg.connect(dsn, autocommit=True) as connection:
                populate(connection)
                connection.execute("SELECT budget.record(1, 'service') FROM generate_series(1, 15)")
                connection.execute("SELECT budget.reserve(1, 'service') FROM generate_series(1, 15)")
                yield connection
        superuser.execute("DROP ROLE dba")


def answers(dba: Connection) -> dict[str, list[tuple[object, ...]] | str]:
    """What each statement is answered with, or its error's message; undone afterwards."""
    return {name: answer(dba, statement) for name, statement in STATEMENTS.items()}


def answer(dba: Connection, statement: str) -> list[tuple[object, ...]] | str:
    try:
        with dba.transaction(force_rollback=True):
            return sorted(dba.execute(statement.encode()).fetchall(), key=str)
    except psycopg.errors.InsufficientPrivilege as error:
        return error.diag.message_primary or ""


def test_the_owner_is_bound_by_forced_row_security(dba: Connection) -> None:
    with dba.transaction(force_rollback=True):
        dba.execute("ALTER TABLE public.cost_tracking ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        assert dba.execute("SELECT count(*) FROM public.cost_tracking").fetchone() == (0,)


@pytest.mark.parametrize("table", TABLES)
def test_enabled_for_others_it_changes_nothing(dba: Connection, table: str) -> None:
    whole = answers(dba)
    with dba.transaction(force_rollback=True):
        dba.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY".encode())
        assert answers(dba) == whole


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("table", TABLES)
def test_forced_it_is_an_error_or_changes_nothing(dba: Connection, table: str, policy: str) -> None:
    whole = answers(dba)
    assert HIDDEN not in str(whole)
    with dba.transaction(force_rollback=True):
        dba.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY".encode())
        dba.execute(POLICIES[policy].format(table).encode())
        forced = answers(dba)
    for name, rows in forced.items():
        assert rows == whole[name] or str(rows).startswith(HIDDEN), name
    assert HIDDEN in str(forced)
    if table == "public.cost_tracking":
        assert all(str(forced[view]).startswith(HIDDEN) for view in LEDGER_VIEWS)


@pytest.mark.parametrize("view", LEDGER_VIEWS)
def test_an_existence_check_is_an_error_too(dba: Connection, view: str) -> None:
    """A plan that can stop early, or sees an empty table first, still meets the error."""
    with dba.transaction(force_rollback=True):
        dba.execute("ALTER TABLE public.cost_tracking ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=HIDDEN):
            dba.execute(f"SELECT EXISTS (SELECT FROM {view})".encode())
