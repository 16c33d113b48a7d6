"""As in pgTAP, a test is a transaction that is rolled back: one clone serves a whole file."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from pytest_postgresql.executors import NoopExecutor

from pgbudget.embedded import Server
from tests.clock import Clock
from tests.conftest import Endpoint
from tests.pgtap import is_empty
from tests.rows import Connection, one


@pytest.fixture(scope="module")
def shared(server: Server, endpoint: Endpoint, template: NoopExecutor, app_role: str) -> Iterator[Connection]:
    """A superuser's autocommit connection to this file's database. Whoever uses it leaves nothing behind."""
    with (
        endpoint.database("sql", template.template_dbname),
        psycopg.connect(server.dsn("sql"), autocommit=True) as connection,
    ):
        yield connection


@pytest.fixture
def tx(shared: Connection) -> Iterator[Connection]:
    """A superuser in a transaction that is rolled back. Whatever the test did, the invariants hold at its end."""
    with shared.transaction(force_rollback=True):
        shared.execute("SELECT setseed(0)")  # what happens to one call in so many happens to the same in every run
        yield shared
        if shared.info.transaction_status == TransactionStatus.INTRANS:
            shared.execute("RESET ROLE")
            is_empty(shared, "SELECT * FROM budget.invariants")


@pytest.fixture(params=["postgres", "app"])
def caller(request: pytest.FixtureRequest, tx: Connection) -> Connection:
    """`tx` twice: as the superuser, and as a plain role that may call the functions and nothing more."""
    tx.execute(f"SET LOCAL ROLE {request.param}".encode())
    return tx


@pytest.fixture
def reader(tx: Connection) -> Connection:
    """`tx` as the role that may read the views and nothing more."""
    tx.execute("SET LOCAL ROLE budget_reader")
    return tx


@pytest.fixture
def clock(tx: Connection) -> Clock:
    """The clock of `tx`, which stands at noon UTC of 2025-10-03."""
    return Clock(tx)


@pytest.fixture
def today(tx: Connection) -> Clock:
    """The clock of `tx`, which stands where created_at has its default: at the transaction's now()."""
    return Clock(tx, one(tx, "SELECT now() AS now").now)


@pytest.fixture(params=["reserve", "reserve_advisory"])
def variant(request: pytest.FixtureRequest) -> str:
    """Each of the two functions that reserve."""
    name: str = request.param
    return name
