"""The chain gives one schema, by whatever tool it is applied; the committed dump shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pgbudget import migrations
from pgbudget.embedded import Server
from tests import chain
from tests.conftest import Endpoint
from tests.migration.support import APPLICATION, CHAIN, NAMES, dump, one, psql, session, uri_for_yoyo
from tests.race import SECONDS
from tests.series import SERIES, by_series

COMMITTED = Path(__file__).parents[2] / "db" / "schema" / f"{SERIES}.sql"
COMMITTED_BY = 18
HEADING = (
    f"-- The {SERIES} series' schema as pg_dump shows it, without the functions' bodies: "
    f"those stand in {SERIES}/functions.\n"
    + by_series(core="", budgets="-- It is built on core's, which is part of it.\n")
)
BODY = re.compile(r"AS \$(_*)\$.*?\$\1\$;", re.DOTALL)


@pytest.mark.parametrize("before", [[], [APPLICATION]], ids=["empty", "adopted"])
def test_every_tool_gives_the_same_schema(
    server: Server, endpoint: Endpoint, application_roles: None, before: list[Path], tmp_path: Path
) -> None:
    schemas = {}
    for tool in ("yoyo", "psql", "script", "pgbudget"):
        with endpoint.database(tool):
            dsn = server.dsn(tool)
            psql(server, dsn, *before)
            if tool == "yoyo":
                apply_with_yoyo(dsn)
            elif tool == "psql":
                psql(server, dsn, *CHAIN)
            elif tool == "script":
                apply_as_scripts(server, dsn, tmp_path)
            else:
                assert chain.migrate(dsn) == NAMES
            schemas[tool] = dump(server, dsn)
    assert schemas["yoyo"] == schemas["psql"]
    assert schemas["script"] == schemas["psql"]
    assert schemas["pgbudget"] == schemas["psql"]


def apply_as_scripts(server: Server, dsn: str, folder: Path) -> None:
    """What `pgbudget sql` gives of each series, one after the other."""
    for series in dict.fromkeys(("core", SERIES)):
        file = folder / f"{series}.sql"
        file.write_text(migrations.script(series))
        psql(server, dsn, file)


def apply_with_yoyo(dsn: str) -> None:
    command = [sys.executable, "-m", "yoyo", "apply", "--batch", "--no-config-file", "--database", uri_for_yoyo(dsn)]
    sources = dict.fromkeys(str(file.parent) for file in CHAIN)
    done = subprocess.run([*command, *sources], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr


def test_yoyo_and_pgbudget_see_one_state(empty_dsn: str) -> None:
    apply_with_yoyo(empty_dsn)
    assert chain.pending(empty_dsn) == []
    assert chain.migrate(empty_dsn) == []


def test_psql_may_come_first(server: Server, empty_dsn: str) -> None:
    """Files applied by hand are unknown to yoyo: migrating afterwards runs them again, harmlessly, and marks them."""
    psql(server, empty_dsn, *CHAIN)
    by_hand = dump(server, empty_dsn)
    assert chain.migrate(empty_dsn) == NAMES
    assert dump(server, empty_dsn) == by_hand


def test_the_committed_dump_is_what_the_chain_gives(server: Server, empty_dsn: str) -> None:
    """Refresh it with UPDATE_SCHEMA=1."""
    chain.migrate(empty_dsn)
    with session(empty_dsn) as connection:
        major = one(connection, "SELECT current_setting('server_version_num')::integer / 10000")
    if major != COMMITTED_BY:
        pytest.skip(
            f"pg_dump {major} words the same schema differently from pg_dump {COMMITTED_BY}, which wrote the file"
        )
    schema = HEADING + BODY.sub("AS …;", dump(server, empty_dsn, owner=False))
    if os.environ.get("UPDATE_SCHEMA"):
        COMMITTED.write_text(schema)
    assert schema == COMMITTED.read_text(), "if that is meant: UPDATE_SCHEMA=1 writes the file anew"
