"""`pgbudget sql`: the chain as one file, for psql and for editors that send one batch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from pgbudget import migrations
from pgbudget.embedded import Server
from tests.cli.terminal import run
from tests.conftest import Endpoint
from tests.migration.support import APPLICATION, dump, one, psql, rows, session
from tests.race import SECONDS


def script(*options: str) -> str:
    done = run("sql", *options)
    assert (done.code, done.err) == (0, "")
    return done.out


def run_psql(server: Server, dsn: str, text: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """As a DBA does it, with no option that would be kinder than psql's defaults."""
    file = tmp_path / "pgbudget.sql"
    file.write_text(text)
    command = [str(server.bin_dir / "psql"), "--no-psqlrc", dsn, "-f", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture
def migrated(server: Server, endpoint: Endpoint, application_roles: None, request: pytest.FixtureRequest) -> str:
    """The schema that migrating gives, of the same kind of database."""
    with endpoint.database("migrated"):
        if request.node.callspec.params["any_dsn"] == "application":
            psql(server, server.dsn("migrated"), APPLICATION)
        migrations.migrate(server.dsn("migrated"))
        return dump(server, server.dsn("migrated"))


@pytest.mark.proof
@pytest.mark.parametrize("options", [[], ["--single-transaction"]], ids=["for psql", "one batch"])
def test_psql_runs_it_and_migrating_marks_it(
    server: Server, any_dsn: str, migrated: str, options: list[str], tmp_path: Path
) -> None:
    done = run_psql(server, any_dsn, script(*options), tmp_path)
    assert done.returncode == 0
    assert "ERROR" not in done.stderr
    assert dump(server, any_dsn) == migrated
    before = rows(any_dsn)
    assert migrations.migrate(any_dsn) == migrations.names()
    assert migrations.pending(any_dsn) == []
    assert dump(server, any_dsn) == migrated
    assert rows(any_dsn) == before
    with session(any_dsn) as db:
        assert one(db, "SELECT can_proceed FROM public.check_and_reserve_budget(1, 'service')") is True


def test_an_editor_sends_it_as_one_batch(server: Server, any_dsn: str, migrated: str) -> None:
    with session(any_dsn) as db:
        db.execute(script("--single-transaction").encode())
    assert dump(server, any_dsn) == migrated
    assert migrations.migrate(any_dsn) == migrations.names()


def test_a_batch_that_fails_changes_nothing(server: Server, application_dsn: str) -> None:
    with session(application_dsn) as db:
        db.execute("ALTER TABLE cost_tracking ALTER cost DROP NOT NULL")
        before = dump(server, application_dsn)
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            db.execute(script("--single-transaction").encode())
        db.execute("ROLLBACK")
    assert dump(server, application_dsn) == before


def test_psql_stops_at_the_first_error(server: Server, application_dsn: str, tmp_path: Path) -> None:
    with session(application_dsn) as db:
        db.execute("ALTER TABLE cost_tracking ALTER cost DROP NOT NULL")
        done = run_psql(server, application_dsn, script(), tmp_path)
        assert done.returncode == 3
        assert done.stderr.count("ERROR:") == 1
        assert one(db, "SELECT to_regprocedure('budget.version()')") is None
        # Mended, it runs from the beginning again.
        db.execute("ALTER TABLE cost_tracking ALTER cost SET NOT NULL")
        assert run_psql(server, application_dsn, script(), tmp_path).returncode == 0


def test_the_index_is_built_concurrently_where_that_can_be() -> None:
    def statements(text: str) -> str:
        return "\n".join(line for line in text.splitlines() if not line.startswith("--"))

    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS budget_day_idx" in statements(script())
    one_batch = script("--single-transaction")
    assert "CREATE INDEX IF NOT EXISTS budget_day_idx" in statements(one_batch)
    assert "The index is built plainly" in one_batch
