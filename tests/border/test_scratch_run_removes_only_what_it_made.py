"""`demo --dsn` and `replay --dsn` on a server of others: roles that others make or use meanwhile stay, theirs go."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from pgbudget.embedded import Server
from pgbudget.migrations import migrate
from pgbudget.scratch import scratch_database

pytestmark = pytest.mark.proof

OURS = {"budget_admin", "budget_caller", "budget_reader"}


@pytest.fixture(scope="module")
def fresh() -> Iterator[Server]:
    """A server without the budget's roles."""
    with Server(settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def admin(fresh: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(fresh.dsn(), autocommit=True) as connection:
        yield connection
        for name in roles(connection) | {"app", "maker"}:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def roles(connection: psycopg.Connection) -> set[str]:
    return {name for (name,) in connection.execute(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'budget\_%'")}


def test_its_own_roles_go(fresh: Server, admin: psycopg.Connection) -> None:
    with scratch_database(fresh.dsn(), "test") as dsn:
        migrate(dsn)
        assert roles(admin) == OURS
    assert roles(admin) == set()


def test_a_role_that_others_make_meanwhile_stays(fresh: Server, admin: psycopg.Connection) -> None:
    with scratch_database(fresh.dsn(), "test") as dsn:
        migrate(dsn)
        admin.execute("CREATE ROLE budget_monitor")
    assert roles(admin) == {"budget_monitor"}


def test_a_role_that_was_there_stays(fresh: Server, admin: psycopg.Connection) -> None:
    admin.execute("CREATE ROLE budget_reader")
    with scratch_database(fresh.dsn(), "test") as dsn:
        migrate(dsn)
    assert roles(admin) == {"budget_reader"}


def test_one_that_was_made_again_by_others_is_theirs(fresh: Server, admin: psycopg.Connection) -> None:
    with scratch_database(fresh.dsn(), "test"):
        admin.execute("DROP ROLE budget_admin")
        admin.execute("CREATE ROLE budget_admin")
    assert roles(admin) == {"budget_admin"}


@pytest.mark.parametrize(
    "use",
    [
        "GRANT budget_caller TO app",
        "GRANT app TO budget_caller",
        "ALTER ROLE budget_caller LOGIN",
        "ALTER ROLE budget_caller SET statement_timeout = '5s'",
        "GRANT CONNECT ON DATABASE postgres TO budget_caller",
    ],
)
def test_one_that_others_use_by_now_is_theirs(fresh: Server, admin: psycopg.Connection, use: str) -> None:
    admin.execute("CREATE ROLE app")
    with scratch_database(fresh.dsn(), "test") as dsn:
        migrate(dsn)
        admin.execute(use.encode())
    assert roles(admin) == {"budget_caller"}
    admin.execute("REVOKE ALL ON DATABASE postgres FROM budget_caller")


def test_without_a_superuser(fresh: Server, admin: psycopg.Connection) -> None:
    """Who makes a role is a member of it, from PostgreSQL 16 on: that is no use by others."""
    admin.execute("CREATE ROLE maker LOGIN CREATEDB CREATEROLE")
    with scratch_database(fresh.dsn().replace("postgres@", "maker@"), "test") as dsn:
        migrate(dsn)
        assert roles(admin) == OURS
    assert roles(admin) == set()
