"""The rules that `db/compile.py` holds a chain to once some of it is released, on a small series of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.race import SECONDS

pytestmark = pytest.mark.proof

COMPILE = Path(__file__).parents[2] / "db" / "compile.py"
MARKED = "-- begin functions/first.sql\n-- end functions/first.sql\n"
BACK = "-- begin compiled\n-- end compiled\n"
FIRST = """CREATE OR REPLACE FUNCTION budget.first(p_a integer, p_b text DEFAULT 'x')
RETURNS SETOF budget.outcome
LANGUAGE sql
AS 'SELECT 1';
COMMENT ON FUNCTION budget.first(integer, text) IS 'first';
"""
INTERNAL = """CREATE OR REPLACE FUNCTION budget._inner()
RETURNS integer
LANGUAGE sql
AS 'SELECT 1';
COMMENT ON FUNCTION budget._inner() IS 'inner';
"""


class Series:
    """A series of one migration, with its own copy of the tool beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("functions/first.sql", FIRST)
        self.write("functions/_internal/_inner.sql", INTERNAL)
        self.write("migrations/0001.a.sql", MARKED + MARKED.replace("first", "_internal/_inner"))
        self.write("migrations/0001.a.rollback.sql", BACK)
        shutil.copy(COMPILE, folder.parent)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def migration(self, name: str, text: str) -> None:
        self.write(f"migrations/{name}.sql", text)
        self.write(f"migrations/{name}.rollback.sql", BACK)

    def read(self, name: str) -> str:
        return (self.folder / "migrations" / name).read_text()

    def compile(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(self.folder.parent / "compile.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    def refusal(self) -> str:
        """What compiling says, which checking says as well, and that neither writes."""
        before = {path: path.read_text() for path in self.folder.rglob("*") if path.is_file()}
        checked, done = self.compile("check"), self.compile()
        assert {path: path.read_text() for path in self.folder.rglob("*") if path.is_file()} == before
        assert (done.returncode, done.stdout) == (checked.returncode, checked.stdout) == (1, "")
        assert done.stderr == checked.stderr
        return done.stderr


@pytest.fixture
def unreleased(tmp_path: Path) -> Series:
    series = Series(tmp_path / "s")
    assert series.compile().returncode == 0
    return series


@pytest.fixture
def series(unreleased: Series) -> Series:
    """The series with its one migration released."""
    assert unreleased.compile("release").returncode == 0
    assert unreleased.compile("check").returncode == 0
    return unreleased


def test_releasing_records_what_is_there(series: Series) -> None:
    assert series.read("RELEASED") == series.read("SHA256SUMS")
    assert [line.split()[1] for line in series.read("RELEASED").splitlines()] == ["0001.a.rollback.sql", "0001.a.sql"]


def test_nothing_stale_is_released(unreleased: Series) -> None:
    unreleased.write("functions/first.sql", FIRST.replace("SELECT 1", "SELECT 2"))
    done = unreleased.compile("release")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "stale: s/migrations/0001.a.sql")
    assert not (unreleased.folder / "migrations" / "RELEASED").exists()


def test_before_a_release_everything_may_change(unreleased: Series) -> None:
    unreleased.write("functions/first.sql", FIRST.replace("p_b text", "p_c text"))
    unreleased.migration("0002.any_name", "DROP TABLE t;\n")
    assert unreleased.compile().returncode == 0
    assert unreleased.compile("check").returncode == 0


@pytest.mark.parametrize("name", ["0001.a.sql", "0001.a.rollback.sql"])
def test_a_released_file_is_neither_edited_nor_taken_away(series: Series, name: str) -> None:
    path = series.folder / "migrations" / name
    path.write_text(path.read_text() + "-- edited\n")
    assert f"released, and not what it was any more: {name};" in series.refusal()
    path.unlink()
    assert f"released, and not what it was any more: {name};" in series.refusal()


def test_a_function_that_changes_later_needs_a_migration_that_carries_it(series: Series) -> None:
    as_released = series.read("0001.a.sql")
    changed = FIRST.replace("SELECT 1", "SELECT 2")
    series.write("functions/first.sql", changed)
    assert "released as it was before: functions/first.sql; a new migration must carry it" in series.refusal()
    series.migration("0002.second_pre", MARKED)
    assert series.compile().returncode == 0
    assert changed in series.read("0002.second_pre.sql")
    assert FIRST in series.read("0002.second_pre.rollback.sql")
    assert series.read("0001.a.sql") == as_released
    assert series.compile("check").returncode == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("p_b text", "p_c text"),
        ("p_a integer", "p_a bigint"),
        (" DEFAULT 'x'", ""),
        ("DEFAULT 'x'", "DEFAULT 'y'"),
        ("'x')", "'x', p_c text DEFAULT NULL)"),
        ("SETOF budget.outcome", "budget.outcome"),
        ("budget.first(p", "budget.second(p"),
    ],
)
def test_a_public_functions_signature_never_changes(series: Series, old: str, new: str) -> None:
    series.write("functions/first.sql", FIRST.replace(old, new))
    series.migration("0002.second_pre", MARKED)
    assert "functions/first.sql must keep its released signature: budget.first(p_a integer, p_b" in series.refusal()


def test_a_public_function_is_never_taken_away(series: Series) -> None:
    (series.folder / "functions/first.sql").unlink()
    assert "functions/first.sql must keep its released signature" in series.refusal()


def test_layout_is_no_part_of_a_signature_and_internal_functions_are_free(series: Series) -> None:
    series.write("functions/first.sql", FIRST.replace("(p_a integer, ", "(\n    p_a integer,\n    "))
    series.write("functions/_internal/_inner.sql", INTERNAL.replace("RETURNS integer", "RETURNS bigint"))
    series.migration("0002.second_pre", MARKED + MARKED.replace("first", "_internal/_inner"))
    done = series.compile()
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["0002.second", "0002.second_later", "0001.b_pre", "0000.b_pre", "2.b_pre"])
def test_a_new_migration_is_named_for_its_moment_and_comes_last(series: Series, name: str) -> None:
    series.migration(name, "SELECT 1;\n")
    assert f"{name}.sql must be NNNN.name_pre.sql or NNNN.name_post.sql, and come after 0001.a.sql" in series.refusal()


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("ALTER TABLE t ADD COLUMN c integer;", True),
        ("DROP INDEX CONCURRENTLY IF EXISTS t_idx;", True),
        ("ALTER TABLE t ALTER c DROP NOT NULL, ALTER c DROP DEFAULT;", True),
        ("-- DROP TABLE t\nSELECT 1;", True),
        ("DROP TABLE t;", False),
        ("alter table t drop column c;", False),
        ("ALTER TABLE t RENAME c TO d;", False),
        ("DO $$ BEGIN EXECUTE 'DROP VIEW v'; END $$;", False),
    ],
)
def test_only_a_post_migration_removes(series: Series, statement: str, allowed: bool) -> None:
    series.migration("0002.b_pre", f"{statement}\n")
    if allowed:
        assert series.compile().returncode == 0
    else:
        assert "which only a _post migration may" in series.refusal()
        (series.folder / "migrations/0002.b_pre.sql").write_text("SELECT 1;\n")
    assert series.compile().returncode == 0
    assert series.compile("release").returncode == 0
    series.migration("0003.b_post", f"{statement}\n")
    assert series.compile().returncode == 0


def test_a_post_migration_waits_until_its_pre_is_released(series: Series) -> None:
    series.migration("0003.b_post", "DROP TABLE t;\n")
    assert "0003.b_post.sql needs a b_pre that was released before it" in series.refusal()
    series.migration("0002.b_pre", "SELECT 1;\n")
    assert "0003.b_post.sql needs a b_pre that was released before it" in series.refusal()


def test_a_released_function_keeps_its_signature_through_further_releases(series: Series) -> None:
    series.write("functions/first.sql", FIRST.replace("SELECT 1", "SELECT 2"))
    series.migration("0002.second_pre", MARKED)
    assert series.compile().returncode == 0
    assert series.compile("release").returncode == 0
    assert "0002.second_pre.sql" in series.read("RELEASED")
    series.write("functions/first.sql", FIRST.replace("p_b text", "p_c text"))
    assert "must keep its released signature" in series.refusal()
