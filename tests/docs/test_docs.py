"""What the pages show is what happens. DOCS_REFRESH=1 in the environment writes it into them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgbudget.embedded import Server
from tests.clock import Clock
from tests.docs.runner import ANY_SQL, Page
from tests.race import Connection

ROOT = Path(__file__).parents[2]
BUDGETS = ROOT / "docs/budgets.md"
"""Speaks of a series that these databases need not have: test_budgets_page.py runs it in one that has."""

PAGES = [
    path
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
    if path != BUDGETS and ANY_SQL.search(path.read_text("utf-8"))
]


@pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])
def test_the_sql_of_the_page_does_what_the_page_shows(path: Path, server: Server, dsn: str, db: Connection) -> None:
    Clock(db)
    page = Page(path.name, path.read_text("utf-8"))
    a_minute_later = "UPDATE public.test_clock SET at = at + interval '1 minute';"
    outputs = page.run(server.bin_dir / "psql", dsn, between=a_minute_later)
    if os.environ.get("DOCS_REFRESH"):
        path.write_text(page.refreshed(outputs), "utf-8")
    else:
        assert not (differences := page.differences(outputs)), "\n".join(differences)
