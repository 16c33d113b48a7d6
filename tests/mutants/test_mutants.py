"""Every mistake of the catalogue is noticed by the tests that are there to notice it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgbudget.embedded import Server
from tests.conftest import in_memory
from tests.mutants import catalogue, catalogue_budgets, catalogue_rows
from tests.mutants.mutate import ROOT, STILLBORN, Mutant, StaleMutantError, mutated, planted, run, seen_by
from tests.mutants.report import CAUGHT_BY, IT_SAID, MUTANT, SURVIVED

Record = Callable[[str, object], None]

MUTANTS = [*catalogue.MUTANTS, *catalogue_budgets.MUTANTS, *catalogue_rows.MUTANTS]

BATCH = 12


def batches() -> list[tuple[str, list[str]]]:
    """Of each series the tests that catch its mutants, in batches that can be run side by side."""
    found = []
    for series in sorted({mutant.series for mutant in MUTANTS}):
        tests = sorted({test for mutant in MUTANTS if mutant.series == series for test in mutant.caught_by})
        found += [(series, tests[first : first + BATCH]) for first in range(0, len(tests), BATCH)]
    return found


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A new cluster, as its server has left it."""
    with in_memory():
        folder = tempfile.TemporaryDirectory(prefix="pgbudget-cluster-")
    with folder as name:
        Path(name).chmod(0o711)  # root's server runs as an account of its own
        with Server(Path(name) / "made"):
            pass
        yield Path(name) / "made"


@pytest.mark.proof
@pytest.mark.parametrize(("series", "tests"), batches(), ids=lambda part: part if isinstance(part, str) else part[0])
def test_without_a_mutant_the_same_tests_pass(series: str, tests: list[str], cluster: Path) -> None:
    with planted(None) as driver:
        outcomes = run(tests, driver, series=series, cluster=cluster)
    assert [outcome for outcome in outcomes if outcome.status != "passed"] == []
    assert [test for test in tests if not seen_by(test, outcomes)] == []


@pytest.mark.proof
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_is_caught(mutant: Mutant, record_property: Record, cluster: Path) -> None:
    record_property(MUTANT, mutant.name)
    with planted(mutant) as driver:
        one = len(mutant.caught_by) == 1
        outcomes = run(mutant.caught_by, driver, series=mutant.series, cluster=cluster, until_one_fails=one)
    failed = {test: [o for o in seen_by(test, outcomes) if o.status == "failed"] for test in mutant.caught_by}
    survived = [test for test, failures in failed.items() if not failures]
    record_property(CAUGHT_BY, SURVIVED if survived else ", ".join(mutant.caught_by))
    record_property(IT_SAID, "; ".join(failures[0].said.split("\n")[0] for failures in failed.values() if failures))

    assert not [outcome for outcome in outcomes if outcome.status == "error"], "its tests could not be run"
    assert not survived, f"{mutant.name}: nothing was noticed"
    stillborn = [said[0] for f in failed.values() for outcome in f if (said := STILLBORN.search(outcome.said))]
    assert not stillborn, "it does not even run"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_is_not_stale(mutant: Mutant) -> None:
    """Its text is still in the file. `make test` asks for this alone; what mutants do is a part of `make proof`."""
    for file, edits in mutant.files.items():
        mutated((ROOT / "db" / mutant.series / file).read_text(), edits)


def test_no_two_mutants_are_the_same() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.series, mutant.file, *mutant.edits.items()) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("text", ["", "one", "one two two"])
def test_a_text_that_is_not_there_once_makes_a_mutant_stale(text: str) -> None:
    with pytest.raises(StaleMutantError):
        mutated(text, {"two": "three"})
