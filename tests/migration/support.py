"""What the tests of the migrations share: the chain's files, schema dumps, and an application's data to compare."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgbudget.embedded import Server
from tests import chain
from tests.race import SECONDS

Connection = psycopg.Connection[Any]

CHAIN = chain.files()
NAMES = [path.stem for path in CHAIN]
APPLICATION = Path(__file__).with_name("application.sql")
# The columns of budget_day_idx, those that it only carries included.
DAY_INDEX = ["created_at", "cost", "expires_at"]
TABLES = ("cost_tracking", "escalations", "work_orders", "system_config", "proposer_configs")


@contextmanager
def session(dsn: str, **options: Any) -> Iterator[Connection]:
    """An autocommit connection; unlike psycopg's own `with`, an error leaves nothing open."""
    with psycopg.connect(dsn, autocommit=True, **options) as connection:
        yield connection


def one(connection: Connection, query: str, *parameters: object) -> Any:
    """The first column of the first row."""
    row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def migrate_up_to(dsn: str, name: str) -> None:
    """Apply what comes before this migration."""

    class Stop(Exception):  # noqa: N818 - nothing is wrong
        pass

    def step(next_name: str) -> None:
        if next_name == name:
            raise Stop

    with suppress(Stop):
        chain.migrate(dsn, on_step=step)


def psql(server: Server, dsn: str, *files: Path) -> None:
    """Run files one after the other, each statement in its own transaction, and stop at the first error."""
    command = [str(server.bin_dir / "psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", dsn]
    for file in files:
        done = subprocess.run([*command, "-f", str(file)], capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr


def dump(server: Server, dsn: str, *, owner: bool = True) -> str:
    """The schema with its rights and comments, yoyo's tables aside, without the lines that differ from dump to dump."""
    command = [str(server.bin_dir / "pg_dump"), "--schema-only", "--exclude-table=*yoyo*", f"--dbname={dsn}"]
    command += [] if owner else ["--no-owner"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return re.sub(r"(^(--( Dumped.*)?|\\(un)?restrict .*|SET .*;|)\n)+", "\n", done.stdout, flags=re.MULTILINE)


def rows(dsn: str, tables: tuple[str, ...] = TABLES) -> dict[str, list[str]]:
    """Every row of the tables that are there, as text."""
    with session(dsn) as connection:
        return {
            table: [
                row for (row,) in connection.execute(f"SELECT t::text FROM public.{table} AS t ORDER BY 1".encode())
            ]
            for table in tables
            if one(connection, "SELECT to_regclass(%s) IS NOT NULL", f"public.{table}")
        }


def found(server: Server, dsn: str) -> tuple[str, dict[str, list[str]]]:
    """All that a rollback must leave as it was: schema, rights, comments and rows. The ledger's cost may be wide."""
    return dump(server, dsn).replace("cost numeric(10,4)", "cost numeric"), rows(dsn)


def uri_for_yoyo(dsn: str) -> str:
    p = conninfo_to_dict(dsn)
    return f"postgresql+psycopg://{p['user']}@/{p['dbname']}?host={p['host']}&port={p['port']}"
