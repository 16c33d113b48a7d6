"""A way back, run as a file, calls functions of a schema whose owner can change them: it asks whose that is first."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget.embedded import Server
from tests import chain
from tests.migration.support import dump
from tests.race import SECONDS

FILES = [file.with_suffix(".rollback.sql") for file in reversed(chain.files())]
TRAP = """CREATE OR REPLACE FUNCTION budget._lock_table(p_tables text, p_mode text) RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'the trap was sprung'; END $$"""


@pytest.fixture
def anothers(empty_dsn: str, app_role: str) -> Iterator[str]:
    """A database in which all is of a role that is no superuser."""
    with psycopg.connect(empty_dsn, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE another LOGIN; ALTER DATABASE empty OWNER TO another")
        try:
            chain.migrate(make_conninfo(empty_dsn, user="another"))
            yield empty_dsn
        finally:
            superuser.execute("REASSIGN OWNED BY another TO postgres; DROP OWNED BY another; DROP ROLE another")


def run(server: Server, dsn: str, file: Path, options: str = "") -> str:
    """What psql says that makes it stop."""
    command = [str(server.bin_dir / "psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", dsn, "-f", str(file)]
    env = {**os.environ, "PGOPTIONS": options}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False).stderr


@pytest.mark.proof
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_another_role_is_stopped(server: Server, anothers: str, file: Path) -> None:
    with psycopg.connect(make_conninfo(anothers, user="another"), autocommit=True) as connection:
        connection.execute(TRAP.encode())
    before = dump(server, anothers)
    said = run(server, anothers, file)
    assert "ERROR:  the schema budget belongs to another role" in said
    assert dump(server, anothers) == before


def test_who_trusts_that_role_goes_on(server: Server, anothers: str) -> None:
    for file in FILES:
        assert "ERROR" not in run(server, anothers, file, "-cpgbudget.accept_owner=on")
    with psycopg.connect(anothers) as connection:
        assert connection.execute("SELECT to_regnamespace('budget')").fetchone() == (None,)
