"""A server of Debian's PostgreSQL 15, for which Debian has plpgsql_check."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from pgbudget.embedded import EmbeddedError, Server
from tests import chain
from tests.checkers import profile
from tests.rows import Connection

DEBIAN = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def checked_dsn() -> Iterator[str]:
    """A migrated database with the extension, whose profiler counts."""
    with ExitStack() as opened:
        try:
            server = opened.enter_context(Server(bin_dir=DEBIAN, settings={"fsync": "off", **profile.SETTINGS}))
            chain.migrate(server.dsn())
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION plpgsql_check")
        except (EmbeddedError, psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
            missing = f"needs Debian's postgresql-15 and postgresql-15-plpgsql-check: {error}"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        yield server.dsn()


@pytest.fixture
def db(checked_dsn: str) -> Iterator[Connection]:
    """Its superuser. Whoever uses it leaves nothing behind."""
    with psycopg.connect(checked_dsn, autocommit=True) as connection:
        yield connection
