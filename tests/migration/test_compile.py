"""`db/compile.py` on a small series of its own, and its check of the repository's."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.race import SECONDS

COMPILE = Path(__file__).parents[2] / "db" / "compile.py"

FIRST = "CREATE FUNCTION first() …;\nCOMMENT ON FUNCTION first(integer,\n    text) IS 'first';\n"
SECOND = "CREATE VIEW second AS …;\nCOMMENT ON VIEW second IS 'second';\n"
SERIES = {
    "functions/first.sql": FIRST,
    "views/second.sql": SECOND,
    "migrations/0001.a.sql": """-- by hand, before
-- begin functions/first.sql
-- end functions/first.sql
-- by hand, between
-- begin views/second.sql
-- end views/second.sql
""",
    "migrations/0001.a.rollback.sql": "-- by hand, first\n-- begin compiled\n-- end compiled\n-- by hand, last\n",
    "migrations/0002.b.sql": "SELECT 2;\n",
    "migrations/0002.b.rollback.sql": "SELECT 1;\n",
}


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A series, compiled, with its own copy of the tool beside it."""
    shutil.copy(COMPILE, tmp_path)
    for name, text in SERIES.items():
        write(tmp_path / "s" / name, text)
    run(tmp_path / "s")
    return tmp_path / "s"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(series: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(series.parent / "compile.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def read(series: Path, name: str) -> str:
    return (series / "migrations" / name).read_text()


def test_the_repository_is_compiled() -> None:
    done = run(COMPILE.parent / "core", "check")
    assert (done.returncode, done.stdout) == (0, "")


def test_blocks_are_filled_and_what_is_by_hand_is_kept(series: Path) -> None:
    assert read(series, "0001.a.sql") == (
        "-- by hand, before\n"
        f"-- begin functions/first.sql\n{FIRST}-- end functions/first.sql\n"
        "-- by hand, between\n"
        f"-- begin views/second.sql\n{SECOND}-- end views/second.sql\n"
    )
    assert read(series, "0002.b.sql") == SERIES["migrations/0002.b.sql"]
    assert run(series, "check").returncode == 0


def test_the_way_back_drops_what_is_new_last_first(series: Path) -> None:
    assert read(series, "0001.a.rollback.sql") == (
        "-- by hand, first\n"
        "-- begin compiled\n"
        "DROP VIEW IF EXISTS second;\n"
        "\n"
        "DROP FUNCTION IF EXISTS first(integer, text);\n"
        "-- end compiled\n"
        "-- by hand, last\n"
    )


def test_the_way_back_restores_the_earlier_definition(series: Path) -> None:
    """A later migration that carries a function again goes back to what the earlier one carries."""
    write(series / "migrations/0002.b.sql", "-- begin functions/first.sql\n-- end functions/first.sql\n")
    write(series / "migrations/0002.b.rollback.sql", "-- begin compiled\n-- end compiled\n")
    run(series)
    assert read(series, "0002.b.rollback.sql") == f"-- begin compiled\n{FIRST}-- end compiled\n"


def test_what_serves_for_some_steps_only_is_what_the_way_back_comes_to(series: Path) -> None:
    """One function of two files: the way back of the later migration is the earlier one's file."""
    interim = FIRST.replace("…", "for now")
    write(series / "interim/first.sql", interim)
    write(series / "migrations/0001.a.sql", "-- begin interim/first.sql\n-- end interim/first.sql\n")
    write(series / "migrations/0002.b.sql", SERIES["migrations/0001.a.sql"])
    write(series / "migrations/0002.b.rollback.sql", "-- begin compiled\n-- end compiled\n")
    assert run(series).returncode == 0
    assert read(series, "0001.a.sql") == f"-- begin interim/first.sql\n{interim}-- end interim/first.sql\n"
    assert "DROP FUNCTION IF EXISTS first(integer, text);" in read(series, "0001.a.rollback.sql")
    assert read(series, "0002.b.rollback.sql") == (
        f"-- begin compiled\nDROP VIEW IF EXISTS second;\n\n{interim}-- end compiled\n"
    )


def test_an_edited_function_makes_its_migration_stale(series: Path) -> None:
    write(series / "functions/first.sql", FIRST.replace("…", "…2"))
    done = run(series, "check")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["stale: s/migrations/0001.a.sql", "stale: s/migrations/SHA256SUMS"]
    assert FIRST in read(series, "0001.a.sql"), "a check writes nothing"
    assert run(series).returncode == 0
    assert "…2" in read(series, "0001.a.sql")
    assert run(series, "check").returncode == 0


@pytest.mark.parametrize(
    "name", ["0001.a.sql", "0001.a.rollback.sql", "0002.b.sql", "0002.b.rollback.sql", "SHA256SUMS"]
)
def test_an_edited_migration_is_stale(series: Path, name: str) -> None:
    path = series / "migrations" / name
    write(path, path.read_text().replace("-- end", "-- edited\n-- end", 1) + "-- edited\n")
    done = run(series, "check")
    assert done.returncode == 1
    assert "stale: s/migrations/SHA256SUMS" in done.stdout or name == "SHA256SUMS"


def test_the_sums_are_those_that_sha256sum_reads(series: Path) -> None:
    names = sorted(path.name for path in (series / "migrations").glob("*.sql"))
    sums = [f"{hashlib.sha256(read(series, name).encode()).hexdigest()}  {name}" for name in names]
    assert read(series, "SHA256SUMS").splitlines() == sums


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            "migrations/0002.b.sql",
            "-- begin functions/none.sql\n-- end functions/none.sql\n",
            "functions/none.sql, but there",
        ),
        ("migrations/0003.c.sql", "SELECT 3;\n", "0003.c.sql has no rollback file"),
        ("functions/_internal/_third.sql", FIRST, "no migration carries functions/_internal/_third.sql"),
        ("functions/first.sql", "CREATE FUNCTION first() …;\n", "functions/first.sql lacks its COMMENT ON"),
    ],
    ids=["missing file", "missing rollback", "unlisted function", "no comment"],
)
@pytest.mark.parametrize("arguments", [[], ["check"]], ids=["write", "check"])
def test_what_does_not_fit_is_an_error(series: Path, path: str, text: str, message: str, arguments: list[str]) -> None:
    write(series / path, text)
    before = {file: file.read_text() for file in series.rglob("*") if file.is_file()}
    done = run(series, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert {file: file.read_text() for file in series.rglob("*") if file.is_file()} == before


# ---------------------------------------------------------------------------------------------------------- the seam


def function(arguments: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION third({arguments})\nRETURNS text\nLANGUAGE sql\n{body};\n"
        "COMMENT ON FUNCTION third(integer) IS 'third';\n"
    )


CORE, REPLACED = function("p_a integer", "core's"), function("p_a integer", "replaced")


@pytest.fixture
def pair(series: Path) -> Path:
    """The series above a core, of whose function it replaces the body."""
    for folder, source in (("core", CORE), ("s", REPLACED)):
        write(series.parent / folder / "functions/third.sql", source)
        write(
            series.parent / folder / "migrations/0003.c.sql",
            "-- begin functions/third.sql\n-- end functions/third.sql\n",
        )
        write(series.parent / folder / "migrations/0003.c.rollback.sql", "-- begin compiled\n-- end compiled\n")
    assert run(series).returncode == 0
    assert run(series, "check").returncode == 0
    return series


def test_the_rollback_of_the_other_series_brings_cores_function_back(pair: Path) -> None:
    assert read(pair, "0003.c.rollback.sql") == f"-- begin compiled\n{CORE}-- end compiled\n"


def test_the_other_series_carries_a_file_of_cores(pair: Path) -> None:
    """And goes back to what stood before it, which is core's last."""
    interim = CORE.replace("core's", "for now")
    write(pair.parent / "core/interim/third.sql", interim)
    write(
        pair.parent / "core/migrations/0003.c.sql",
        "".join(f"-- begin {folder}/third.sql\n-- end {folder}/third.sql\n" for folder in ("interim", "functions")),
    )
    write(pair / "migrations/0002.b.sql", "-- begin interim/third.sql\n-- end interim/third.sql\n")
    write(pair / "migrations/0002.b.rollback.sql", "-- begin compiled\n-- end compiled\n")
    assert run(pair).returncode == 0
    assert interim in read(pair, "0002.b.sql")
    assert read(pair, "0002.b.rollback.sql") == f"-- begin compiled\n{CORE}-- end compiled\n"
    assert read(pair, "0003.c.rollback.sql") == f"-- begin compiled\n{interim}-- end compiled\n"


def test_the_seam_names_both_halves(pair: Path) -> None:
    assert (pair / "SEAM").read_text().splitlines() == [
        f"{hashlib.sha256(text.encode()).hexdigest()}  {folder}/functions/third.sql"
        for folder, text in (("core", CORE), ("s", REPLACED))
    ]


@pytest.mark.parametrize("arguments", [[], ["check"]], ids=["write", "check"])
def test_a_change_of_cores_half_alone_is_an_error(pair: Path, arguments: list[str]) -> None:
    write(pair.parent / "core/functions/third.sql", function("p_a integer", "core's, changed"))
    for _ in range(2):
        done = run(pair, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "core/functions/third.sql has changed, and s/functions/third.sql" in done.stderr


@pytest.mark.parametrize("way", ["both are changed", "it is right as it is"])
def test_a_change_of_both_halves_is_recorded(pair: Path, way: str) -> None:
    write(pair.parent / "core/functions/third.sql", function("p_a integer", "core's, changed"))
    if way == "both are changed":
        write(pair / "functions/third.sql", function("p_a integer", "replaced, changed"))
    else:
        write(pair / "SEAM", "")
    assert run(pair, "check").returncode == 1, "SEAM is to show the change"
    assert "wrote: s/SEAM" in run(pair).stdout
    assert run(pair, "check").returncode == 0


def test_the_other_series_changes_its_half_as_it_likes(pair: Path) -> None:
    write(pair / "functions/third.sql", function("p_a integer", "replaced, changed"))
    assert run(pair).returncode == 0
    assert run(pair, "check").returncode == 0


@pytest.mark.parametrize("half", ["core", "s"])
def test_both_halves_have_one_signature(pair: Path, half: str) -> None:
    write(pair.parent / half / "functions/third.sql", function("p_b integer", "changed"))
    done = run(pair, "check")
    assert done.returncode == 1
    assert "s/functions/third.sql must have the signature of core/functions/third.sql: third(p_" in done.stderr


def test_unknown_arguments_are_refused(series: Path) -> None:
    done = run(series, "chekc")
    assert done.returncode == 2
    assert "db/compile.py check" in done.stdout
