"""docs/budgets.md in a database with that series; and what it says is the only way it is."""

from __future__ import annotations

import os
from functools import partial

from pytest_postgresql import factories

from pgbudget.embedded import Server
from tests.clock import Clock
from tests.conftest import load_chain
from tests.docs.runner import Page
from tests.docs.test_docs import BUDGETS
from tests.race import Connection

template = factories.postgresql_noproc(
    depends_on="endpoint", dbname="docs_budgets", load=[partial(load_chain, "budgets")]
)


def test_the_sql_of_the_page_does_what_the_page_shows(server: Server, dsn: str, db: Connection) -> None:
    Clock(db)
    page = Page(BUDGETS.name, BUDGETS.read_text("utf-8"))
    outputs = page.run(server.bin_dir / "psql", dsn)
    if os.environ.get("DOCS_REFRESH"):
        BUDGETS.write_text(page.refreshed(outputs), "utf-8")
    else:
        assert not (differences := page.differences(outputs)), "\n".join(differences)
