"""What the documentation shows is what the committed run measured, and that is what must hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.page import SECTION, with_figures
from tests.bench.results import Results
from tests.bench.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs/bench/result.json"
PAGES = [
    path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) if SECTION.search(path.read_text("utf-8"))
]


@pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])
def test_the_page_shows_the_figures_of_the_committed_run(path: Path) -> None:
    shown = path.read_text("utf-8")
    should = with_figures(shown, Results.load(COMMITTED))
    if os.environ.get("DOCS_REFRESH"):
        path.write_text(should, "utf-8")
    else:
        assert shown == should, f"{path.name} shows other figures; DOCS_REFRESH=1 writes them into it"


def test_the_charts_are_those_of_the_committed_run() -> None:
    charts = sorted(COMMITTED.parent.glob("*.svg"))
    assert charts
    for chart in charts:
        assert Results.load(COMMITTED).digest in chart.read_text("utf-8")
        assert any(f"bench/{chart.name}" in page.read_text("utf-8") for page in PAGES)


@pytest.mark.parametrize("target", TARGETS, ids=[target.what for target in TARGETS])
def test_the_committed_run_keeps_the_target(target: Target) -> None:
    spread = target.measured(Results.load(COMMITTED))
    holds = target.holds(spread.median)
    if target.missed:
        assert not holds, f"{spread} is {target.bounds} by now: no longer missed"
    else:
        assert holds, f"{spread} is not {target.bounds}"
