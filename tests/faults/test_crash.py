"""Backends and servers end at any moment under load: what was answered is there, the rest is whole or not there at all.

FAULT_ROUNDS in the environment asks for more rounds. A round that fails is run again by its name, which holds its seed.
A kill ends processes, not the machine: what they had written to files is kept by the system, flushed to disk or not.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest

from pgbudget import _binaries
from pgbudget.embedded import EmbeddedError, Server
from tests.faults.load import CLIENTS, DURABLE, Load
from tests.faults.processes import await_recovery, kill, kill_all
from tests.needs import need
from tests.race import Connection

pytestmark = [pytest.mark.proof, pytest.mark.xdist_group("durable")]

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "6"))

CLIENTS_BACKENDS = """SELECT pid FROM pg_stat_activity
                       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid"""


@pytest.fixture
def server(durable: Server) -> Server:
    """The server with an empty ledger; running, however the test before ended."""
    with suppress(EmbeddedError):  # it is running already
        durable.start()
    await_recovery(durable.dsn())
    with psycopg.connect(durable.dsn(), autocommit=True) as connection:
        connection.execute("TRUNCATE public.cost_tracking, public.escalations")
    return durable


def kill_one(server: Server, watch: Connection, dice: random.Random) -> None:
    kill(dice.choice(watch.execute(CLIENTS_BACKENDS.encode()).fetchall())[0])


def take_the_disk_from_one(server: Server, watch: Connection, dice: random.Random) -> None:
    """Let one backend write to no file: a page of the ledger fails its call, and the log ends the server."""
    need(shutil.which("prlimit"), "there is no prlimit")
    [backend] = dice.choice(watch.execute(CLIENTS_BACKENDS.encode()).fetchall())
    done = _binaries.run(["prlimit", f"--pid={backend}", "--fsize=0"], _binaries.unprivileged_account())
    assert done.returncode == 0, done.stdout


def kill_the_server(server: Server, watch: Connection, dice: random.Random) -> None:
    kill_all(server, watch)
    server.start()


STRIKES: dict[str, Callable[[Server, Connection, random.Random], None]] = {
    "one backend": kill_one,
    "one backend by its disk": take_the_disk_from_one,
    "the whole server": kill_the_server,
}


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("killed", STRIKES)
def test_what_was_answered_survives_a_kill(server: Server, killed: str, seed: int) -> None:
    dice = random.Random(f"{killed} {seed}")  # noqa: S311
    load = Load(server.dsn(), f"{killed} {seed}", [DURABLE[seed % len(DURABLE)]], {"disk"} if "disk" in killed else ())
    with psycopg.connect(server.dsn(), autocommit=True) as watch, load.running():
        time.sleep(dice.uniform(0.05, 0.35))
        STRIKES[killed](server, watch, dice)
    await_recovery(server.dsn())
    assert all(client.doubt for client in load.clients)
    load.check(server.dsn())


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_was_answered_outlives_its_backend(server: Server, seed: int) -> None:
    """Backends are terminated one after the other; each client takes a new one, repeats its call and goes on."""
    dice = random.Random(seed)  # noqa: S311
    load = Load(server.dsn(), f"terminated {seed}", DURABLE)
    with psycopg.connect(server.dsn(), autocommit=True) as watch, load.running(again=True):
        for _ in range(20):
            time.sleep(dice.uniform(0, 0.02))
            if backends := watch.execute(CLIENTS_BACKENDS.encode()).fetchall():
                watch.execute("SELECT pg_terminate_backend(%s)", dice.choice(backends))
    assert load.lost > CLIENTS
    load.check(server.dsn())
