"""The server is killed in the middle of a migration: the next run ends in the same schema and the same rows.

Runs whose own process is killed are in tests/migration/test_interrupted.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import psycopg
import pytest

from pgbudget import migrations
from pgbudget.embedded import Server
from tests import chain
from tests.faults.conftest import LAZY
from tests.faults.processes import kill_all
from tests.migration.conftest import ROLES
from tests.migration.support import APPLICATION, NAMES, found, psql, session
from tests.race import SECONDS
from tests.series import SERIES

pytestmark = [pytest.mark.proof, pytest.mark.xdist_group("failover")]


@pytest.fixture(scope="module")
def server(memory: None) -> Iterator[Server]:
    """A server with an application's database, to be copied: `application`, and `migrated` by an undisturbed run."""
    with Server(settings=LAZY) as server:
        with session(server.dsn()) as connection:
            for role, options in ROLES.items():
                connection.execute(f'CREATE ROLE "{role}" {options}'.encode())
            connection.execute("CREATE DATABASE application")
            psql(server, server.dsn("application"), APPLICATION)
            connection.execute("CREATE DATABASE migrated TEMPLATE application")
            chain.migrate(server.dsn("migrated"))
        yield server


Run = Callable[[str, Callable[[str], None]], object]


def up(dsn: str, on_step: Callable[[str], None]) -> object:
    return chain.migrate(dsn, on_step=on_step)


def down(dsn: str, on_step: Callable[[str], None]) -> object:
    return chain.rollback(dsn, all=True, on_step=on_step)


OWN = migrations.names(SERIES)
"""Those of this run's series. Those of core, under any other, are killed as if they were alone."""

RUNS: list[tuple[Run, str, str, str]] = [
    *((up, name, "application", "migrated") for name in OWN),
    *((down, name, "migrated", "application") for name in OWN[::-2]),
]


@pytest.mark.parametrize(
    ("run", "name", "begin", "end"), RUNS, ids=[f"{run.__name__}-{name}" for run, name, *_ in RUNS]
)
def test_a_run_resumes_after_the_server_was_killed(server: Server, run: Run, name: str, begin: str, end: str) -> None:
    dsn, begun = server.dsn("interrupted"), Event()

    def step(next_name: str) -> None:
        if next_name == name:
            begun.set()

    with session(server.dsn()) as watch, ThreadPoolExecutor(1) as thread:
        watch.execute("DROP DATABASE IF EXISTS interrupted")
        watch.execute(f"CREATE DATABASE interrupted TEMPLATE {begin}".encode())
        running = thread.submit(run, dsn, step)
        assert begun.wait(SECONDS)
        time.sleep(random.Random(name).uniform(0, 0.02))  # noqa: S311
        kill_all(server, watch)
        server.start()
        with suppress(psycopg.OperationalError):  # the last of them may have been done
            running.result(SECONDS)
    run(dsn, print)
    assert chain.pending(dsn) == ([] if run is up else NAMES)
    assert found(server, dsn) == found(server, server.dsn(end))
