"""What the documentation shows is what the committed run measured, and that is what must hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.bench.page import SECTION, with_figures
from tests.bench.parts import PARTS, Part
from tests.bench.results import Results
from tests.bench.targets import Target

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/bench"
PAGES = [
    path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) if SECTION.search(path.read_text("utf-8"))
]


def _committed(part: Part[Any]) -> Results:
    return Results.load(FOLDER / part.file)


@pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])
def test_the_page_shows_the_figures_of_the_committed_run(path: Path) -> None:
    shown = path.read_text("utf-8")
    should = with_figures(shown, [table for part in PARTS.values() for table in part.tables(_committed(part))])
    if os.environ.get("DOCS_REFRESH"):
        path.write_text(should, "utf-8")
    else:
        assert shown == should, f"{path.name} shows other figures; DOCS_REFRESH=1 writes them into it"


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_charts_are_those_of_the_committed_run(part: Part[Any]) -> None:
    for name in part.charts:
        assert _committed(part).digest in (FOLDER / f"{name}.svg").read_text("utf-8")
        assert any(f"bench/{name}.svg" in page.read_text("utf-8") for page in PAGES)


TARGETS = [(part, target) for part in PARTS.values() for target in part.targets]


@pytest.mark.parametrize(("part", "target"), TARGETS, ids=[target.what for _, target in TARGETS])
def test_the_committed_run_keeps_the_target(part: Part[Any], target: Target) -> None:
    spread = target.measured(_committed(part))
    holds = target.holds(spread.median)
    if target.missed:
        assert not holds, f"{spread} is {target.bounds} by now: no longer missed"
    else:
        assert holds, f"{spread} is not {target.bounds}"
