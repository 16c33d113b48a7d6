"""One embedded server for a run, the migrated template in it, and a fresh clone of that for every test."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import hypothesis
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from pytest_postgresql import factories
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from pgbudget.embedded import Server
from tests import surroundings
from tests.checkers import profile
from tests.clock import seconds_to_wait
from tests.concurrency.sessions import Session
from tests.mutants.report import pytest_terminal_summary  # noqa: F401 - a hook of this conftest
from tests.race import Crowd
from tests.series import SERIES

surroundings.forget()

# A statement waits for locks and disks: how long it takes says nothing about the code.
# And a run is the same every time: who looks for what nobody has seen sets HYPOTHESIS=random.
is_random = os.environ.get("HYPOTHESIS") == "random"
hypothesis.settings.register_profile(
    "pgbudget", deadline=None, print_blob=True, derandomize=not is_random, **({} if is_random else {"database": None})
)
hypothesis.settings.load_profile("pgbudget")

MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's directory in memory; the names in it are random


@dataclass(frozen=True)
class Endpoint:
    """Our server in the words of pytest-postgresql's `depends_on`."""

    host: str
    port: int
    user: str
    password: str | None
    options: str = ""
    maintenance_dbname: str = "postgres"
    template_dbname: str | None = None

    @contextmanager
    def database(self, dbname: str, template_dbname: str | None = None) -> Iterator[None]:
        """Make a database, and drop it at the end, whoever is still connected."""
        with DatabaseJanitor(
            user=self.user,
            host=self.host,
            port=self.port,
            password=self.password,
            dbname=dbname,
            template_dbname=template_dbname,
        ):
            yield
            profile.collect(make_conninfo(host=self.host, port=self.port, user=self.user, dbname=dbname))


def pytest_runtest_setup() -> None:
    """Begin no test that the end of an hour or of the day would meet: what it looks at is by the hour and the day."""
    time.sleep(seconds_to_wait())


def pytest_sessionfinish() -> None:
    profile.write()


class Connect(Protocol):
    """The type of the fixture `connect`."""

    def __call__(self, *, role: str = "postgres", **options: Any) -> psycopg.Connection[TupleRow]: ...


@contextmanager
def in_memory() -> Iterator[None]:
    """Make what is temporary in memory, if there is room: a clone is hundreds of small files."""
    with pytest.MonkeyPatch.context() as patch:
        if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 * 2**30:
            patch.setattr(tempfile, "tempdir", str(MEMORY))
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Start the server of this run (each xdist worker has its own), chosen by PG or PG_BIN.

    Its data need not outlive a crash of the machine; a test about durability starts a server of its own.
    """
    cluster = os.environ.get(surroundings.CLUSTER)
    server = Server(
        Path(cluster) if cluster else None, settings={"fsync": "off", "full_page_writes": "off", **profile.settings()}
    )
    with in_memory():
        server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def endpoint(server: Server) -> Endpoint:
    return Endpoint(server.host, server.port, server.user, server.password)


def load_chain(series: str, *, host: str, port: int, user: str, password: str | None, dbname: str, **_: object) -> None:
    """Migrate a template with a series, and with what that builds on."""
    from tests import chain  # noqa: PLC0415 - tests that need no database run without the extra `cli`

    chain.load(make_conninfo(host=host, port=port, user=user, password=password, dbname=dbname), series)


template = factories.postgresql_noproc(depends_on="endpoint", load=[partial(load_chain, SERIES)])


@pytest.fixture(scope="session")
def app_role(server: Server, template: NoopExecutor) -> str:
    """Make the plain login role `app`, which may call the functions and nothing more. Roles belong to the cluster."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE app LOGIN")
        connection.execute("GRANT budget_caller TO app")
    return "app"


@pytest.fixture
def dsn(server: Server, endpoint: Endpoint, template: NoopExecutor) -> Iterator[str]:
    """A fresh migrated database, as its superuser."""
    with endpoint.database(template.dbname, template.template_dbname):
        yield server.dsn(template.dbname)


@pytest.fixture
def empty_dsn(server: Server, endpoint: Endpoint) -> Iterator[str]:
    """A fresh database with nothing in it, as its superuser."""
    with endpoint.database("empty"):
        yield server.dsn("empty")


@pytest.fixture
def connect(dsn: str, app_role: str) -> Iterator[Connect]:
    """Open further connections to this test's database, autocommit unless asked otherwise; all closed at its end."""
    with ExitStack() as opened:

        def open_connection(*, role: str = "postgres", **options: Any) -> psycopg.Connection[TupleRow]:
            options = {"autocommit": True, **options}
            return opened.enter_context(psycopg.connect(dsn, user=role, **options))

        yield open_connection


@pytest.fixture
def db(connect: Connect) -> psycopg.Connection[TupleRow]:
    """A connection to this test's database, autocommit, as the superuser."""
    return connect()


@pytest.fixture
def session(connect: Connect, db: psycopg.Connection[TupleRow]) -> Iterator[Callable[[], Session]]:
    """Open a session whose statements may be left waiting; all are closed at the end."""
    with ExitStack() as opened:

        def open_session() -> Session:
            session = Session(connect(), observer=db)
            opened.callback(session.close)
            return session

        yield open_session


@pytest.fixture
def crowd(connect: Connect) -> Iterator[Callable[[int], Crowd]]:
    """Make a crowd of so many clients."""
    with ExitStack() as opened:
        yield lambda clients: opened.enter_context(Crowd(connect() for _ in range(clients)))
