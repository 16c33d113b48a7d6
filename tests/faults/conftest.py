"""Servers that are there to be killed: each module's own, with the settings that make a commit durable."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import psycopg
import pytest

from pgbudget.embedded import Server
from tests import chain
from tests.clock import midday_zone
from tests.conftest import MEMORY
from tests.series import SLOTS, by_series

# What a commit does not flush itself is flushed by nobody else in time, and a kill loses it for certain.
LAZY = {"wal_writer_delay": "10s", "bgwriter_lru_maxpages": "0"}

SEVERAL = ("SELECT budget.set_budget('services', 100, 'service', p_period => 'total', p_slots => %s)",)
"""Budgets beside the day's: each reservation belongs to two, either of which may refuse it."""


def prepare(dsn: str) -> None:
    """The chain, in a time zone where it is midday now, so that no test is caught by midnight."""
    chain.load(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT budget.set_limits(jsonb_build_object('timezone', %s::text))", [midday_zone()])
        for budget in by_series(core=(), budgets=SEVERAL):
            connection.execute(budget, [SLOTS])


@pytest.fixture(scope="module")
def memory() -> Iterator[None]:
    """Servers' files in memory: a kill ends processes and not the system, to which they last like those on a disk."""
    with pytest.MonkeyPatch.context() as patch:
        if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 * 2**30:
            patch.setattr(tempfile, "tempdir", str(MEMORY))
        yield


@pytest.fixture(scope="module")
def durable() -> Iterator[Server]:
    """A server whose answers hold."""
    with Server(settings=LAZY) as server:
        prepare(server.dsn())
        with psycopg.connect(server.dsn()) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                assert connection.execute(f"SHOW {setting}".encode()).fetchone() == ("on",)
        yield server
