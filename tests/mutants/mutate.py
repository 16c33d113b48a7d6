"""Break one thing in a copy of the SQL, and see which of the named tests notice.

A mutant is a whole copy of `db/` and of the driver, in which one text is another. The tests run against it in a pytest
of their own, which finds that copy first on its path and migrates its own server from it. To have that begin soon, its
process is forked from one that has imported what others have written, and its server's cluster is a copy of one.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_postgresql.plugin

from tests.race import SECONDS
from tests.surroundings import CLUSTER

ROOT = Path(__file__).parents[2]

# What a mutation says that does not even run: that is no breakage which a person could overlook.
STILLBORN = re.compile(
    r"psycopg\.errors\.(Undefined|Ambiguous|Datatype|Syntax|InvalidFunctionDefinition|CannotCoerce|WrongObject)\w*"
)


class StaleMutantError(Exception):
    """The text to replace is not in the file exactly once: the code has moved on, and the mutant has to follow."""


@dataclass(frozen=True)
class Mutant:
    """One realistic mistake."""

    name: str
    """What is wrong, in words."""
    file: str
    """Where, below `db` and the series."""
    edits: Mapping[str, str]
    """Each text that stands in the file exactly once, and what stands there instead."""
    caught_by: tuple[str, ...]
    """The tests that must fail then, below `tests`: each of these functions or, of one that has many, this case."""
    beside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What has to be wrong in other files too, for nobody makes this mistake in one place: their edits."""
    series: str = "core"
    """Whose files these are, and what its tests' databases have."""

    @property
    def files(self) -> dict[str, Mapping[str, str]]:
        """All edits, by file."""
        return {self.file: self.edits, **self.beside}


@dataclass(frozen=True)
class Outcome:
    """How one case of a test ended."""

    test: str
    """The node id below `tests`, without a case's brackets."""
    status: str
    """passed, failed, or error (it did not come to be run)."""
    said: str = ""


def mutated(text: str, edits: Mapping[str, str]) -> str:
    """The text after all edits."""
    for old, new in edits.items():
        if text.count(old) != 1:
            raise StaleMutantError(f"{text.count(old)} times instead of once: {old!r}")
        text = text.replace(old, new)
    return text


@contextmanager
def planted(mutant: Mutant | None) -> Iterator[Path]:
    """The folder of a driver whose SQL has this mistake, or none; it is there as long as the context."""
    with tempfile.TemporaryDirectory(prefix="pgbudget-mutant-") as folder:
        tree = Path(folder)
        shutil.copytree(ROOT / "db", tree / "db")
        # With what is compiled already, but for what somebody is compiling now.
        shutil.copytree(ROOT / "pydriver", tree / "pydriver", ignore=shutil.ignore_patterns("*.pyc.*"))
        if mutant is not None:
            for file, edits in mutant.files.items():
                _plant(tree / "db" / mutant.series, file, edits)
        yield tree / "pydriver"


def _plant(series: Path, name: str, edits: Mapping[str, str]) -> None:
    """Edit a file, and the migration that carries it."""
    file = series / name
    source = file.read_text()
    wrong = mutated(source, edits)
    for path in {file, *(series / "migrations").glob("*.sql")}:
        path.write_text(path.read_text().replace(source, wrong))


def run(
    tests: Iterable[str], driver: Path, *, series: str, cluster: Path, until_one_fails: bool = False
) -> list[Outcome]:
    """Run tests in a pytest of their own, with this driver and on a copy of this cluster, which no server runs on.

    Of two names for one case it is run once.
    """
    report, said = driver.with_name("report.xml"), driver.with_name("said.txt")
    options = ["-p", "no:cacheprovider", "--tb=short", f"--junitxml={report}"]
    options += ["--exitfirst"] if until_one_fails else []
    arguments = [*options, *(f"tests/{test}" for test in tests)]
    with _copied(cluster) as copy:
        environment = {"SERIES": series, CLUSTER: str(copy)}
        with closing(FORKED.Process(target=_pytest, args=(arguments, driver, environment, said))) as process:
            process.start()
            process.join(SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
            if process.exitcode not in {0, 1}:
                raise RuntimeError(f"pytest could not run these tests:\n{said.read_text()}")
    return [_outcome(case) for case in ET.parse(report).iter("testcase")]  # noqa: S314 - our own report


@contextmanager
def _copied(cluster: Path) -> Iterator[Path]:
    """A copy beside it, as long as the context; one at a time."""
    copy = cluster.with_name("copy")
    try:
        subprocess.run(["cp", "-a", cluster, copy], check=True)  # the owners too: root's server is another account's
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


# What takes longer to load than most of the tests take. None of it is ours: that comes from the mutant's copy.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["pytest", "pytest_postgresql.plugin", "hypothesis", "psycopg", "sqlparse", "yoyo"])


def _pytest(arguments: Sequence[str], driver: Path, environment: Mapping[str, str], said: Path) -> None:
    """Be that pytest."""
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    # xdist tells its workers apart through the environment, and pytest is told its options: this is none of them.
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "COV"))]:
        del os.environ[name]
    # Plugins that these tests do not use would be loaded too.
    os.environ.update(environment, PYTHONPATH=str(driver), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    sys.path.insert(0, str(driver))
    sys.exit(pytest.main(list(arguments), plugins=[pytest_postgresql.plugin]))


def _outcome(case: ET.Element) -> Outcome:
    module = case.attrib["classname"].removeprefix("tests.").replace(".", "/")
    test = f"{module}.py::{case.attrib['name']}"
    for tag in ("failure", "error"):
        if (fault := case.find(tag)) is not None:
            message = fault.get("message", "")
            # What a fixture finds wrong at the end of a test is found by the test.
            status = "error" if message.startswith("failed on setup") else "failed"
            return Outcome(test, status, f"{message}\n{fault.text}")
    return Outcome(test, "passed")


def seen_by(test: str, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """What this test, or any of its cases, said."""
    return [outcome for outcome in outcomes if outcome.test == test or outcome.test.startswith(f"{test}[")]
