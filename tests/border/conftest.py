"""Databases for what the series `budgets` has alone, whatever SERIES says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from pytest_postgresql import factories
from pytest_postgresql.executors import NoopExecutor

from pgbudget.embedded import Server
from tests.conftest import Endpoint, load_chain
from tests.migration.support import session
from tests.rows import Connection

with_budgets = factories.postgresql_noproc(
    depends_on="endpoint", dbname="border", load=[partial(load_chain, "budgets")]
)


@pytest.fixture
def budgets(server: Server, endpoint: Endpoint, with_budgets: NoopExecutor) -> Iterator[Connection]:
    """A fresh database with that series, as its superuser."""
    with endpoint.database("border", with_budgets.template_dbname), session(server.dsn("border")) as connection:
        yield connection
