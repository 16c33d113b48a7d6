"""Databases to migrate: an empty one (`empty_dsn`) and one with an application in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgbudget.embedded import Server
from tests.conftest import Endpoint
from tests.migration.support import APPLICATION, psql, session

ROLES = {"app_writer": "", "app_reader": "", "anon": "", "App Owner": "", "app_dba": "LOGIN CREATEROLE"}


@pytest.fixture(scope="module")
def application_roles(server: Server) -> Iterator[None]:
    """The application's roles. Roles belong to the cluster, and tests elsewhere may count on there being no `anon`."""
    with session(server.dsn()) as connection:
        for role, options in ROLES.items():
            connection.execute(f'CREATE ROLE "{role}" {options}'.encode())
        yield
        for role in ROLES:
            connection.execute(f'DROP ROLE "{role}"'.encode())


@pytest.fixture(scope="module")
def application(server: Server, endpoint: Endpoint, application_roles: None) -> Iterator[str]:
    """The name of a database with the application's tables, rows, rights and function, to be cloned."""
    with endpoint.database("application"):
        psql(server, server.dsn("application"), APPLICATION)
        yield "application"


@pytest.fixture
def application_dsn(server: Server, endpoint: Endpoint, application: str) -> Iterator[str]:
    """A clone of it, not migrated yet; as its superuser."""
    with endpoint.database("empty", application):
        yield server.dsn("empty")


@pytest.fixture(params=["empty", "application"])
def any_dsn(request: pytest.FixtureRequest) -> str:
    """Both in turn."""
    dsn: str = request.getfixturevalue(f"{request.param}_dsn")
    return dsn
