"""Roles and databases as security sees them: plain PostgreSQL, and one that looks like a hosted platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from pgbudget.embedded import Server
from tests import chain
from tests.conftest import Endpoint
from tests.migration.support import CHAIN
from tests.rows import Connection
from tests.security.calls import populate

MEMBERS = {"caller": "budget_caller", "admin": "budget_admin", "reader": "budget_reader"}
PLAIN = (*MEMBERS, "nobody")
PLATFORM = ("anon", "authenticated", "service_role")

# What a platform does before anyone creates a table: its web roles get everything that is made, wherever it is made.
PLATFORM_DEFAULTS = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated, "Web User";
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO anon, authenticated, "Web User";
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO anon, authenticated, "Web User";
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO anon, authenticated, "Web User";
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO anon, authenticated, "Web User";
"""

CONCURRENT = b"-- transactional: false"

Login = Callable[[str], Connection]


def run_again(connection: Connection) -> None:
    """The chain's files once more, as a DBA runs them with psql, or a run after a crash that left them unmarked."""
    for file in CHAIN:
        text = file.read_bytes()
        if CONCURRENT not in text:  # an index without rights of its own
            connection.execute(text)


@pytest.fixture(scope="module")
def roles(server: Server, template: NoopExecutor) -> Iterator[None]:
    """Login roles: a member of each of ours, one that is nothing (what it may, PUBLIC may), and a platform's own."""
    names = [f'"{name}"' for name in (*PLAIN, *PLATFORM, "Web User")]
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        for name, group in MEMBERS.items():
            connection.execute(f"GRANT {group} TO {name}".encode())
        yield
        for name in names:
            connection.execute(f"DROP ROLE {name}".encode())


@pytest.fixture(scope="module")
def plain_dsn(server: Server, endpoint: Endpoint, template: NoopExecutor, roles: None) -> Iterator[str]:
    """A migrated database on plain PostgreSQL, of this module alone."""
    with endpoint.database("plain", template.template_dbname):
        yield server.dsn("plain")


@pytest.fixture(scope="module")
def plain(plain_dsn: str) -> Iterator[Connection]:
    """Its superuser, after some spend. Whoever uses it leaves nothing behind."""
    with psycopg.connect(plain_dsn, autocommit=True, options="-c statement_timeout=30s") as connection:
        populate(connection)
        yield connection


@pytest.fixture
def login(plain_dsn: str) -> Iterator[Login]:
    """Open sessions of their own in that database, each as the role that is named."""
    with ExitStack() as opened:
        yield lambda role: opened.enter_context(psycopg.connect(plain_dsn, user=role, autocommit=True))


@pytest.fixture(scope="module")
def hosted(server: Server, endpoint: Endpoint, roles: None) -> Iterator[Connection]:
    """The same on a platform that had its roles and default privileges before."""
    with (
        endpoint.database("hosted"),
        psycopg.connect(server.dsn("hosted"), autocommit=True) as connection,
    ):
        connection.execute(PLATFORM_DEFAULTS.encode())
        chain.migrate(server.dsn("hosted"))
        populate(connection)
        yield connection
