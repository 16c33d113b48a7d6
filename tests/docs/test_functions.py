"""docs/functions.md is what the database says of itself. DOCS_REFRESH=1 writes it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from pytest_postgresql import factories

from db import document
from tests.conftest import load_chain
from tests.race import Connection

PAGE = Path(__file__).parents[2] / "docs" / "functions.md"

template = factories.postgresql_noproc(
    depends_on="endpoint", dbname="docs_functions", load=[partial(load_chain, "budgets")]
)


def test_the_page_is_generated(db: Connection) -> None:
    written = document.page(db)
    if os.environ.get("DOCS_REFRESH"):
        PAGE.write_text(written, "utf-8")
    assert PAGE.read_text("utf-8") == written, "run DOCS_REFRESH=1 pytest tests/docs/test_functions.py"


def test_a_function_that_no_group_names_is_noticed(db: Connection) -> None:
    db.execute("CREATE FUNCTION budget.forgotten() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    with pytest.raises(SystemExit, match="do not name the functions"):
        document.page(db)


@pytest.mark.parametrize(
    ("comment", "paragraphs"),
    [
        (
            "What it does.\n\np_a  one\np_bc  two\n      and more",
            ["What it does.", "- `p_a`: one\n- `p_bc`: two and more"],
        ),
        ("One.\n\nErrors: 22023 null. Locks: none.", ["One.", "**Errors**: 22023 null.\n\n**Locks**: none."]),
        ("Ends it.\nErrors: 55P03.\nLocks: one row.", ["Ends it.\n\n**Errors**: 55P03.\n\n**Locks**: one row."]),
        ("Errors and locks: those of another.", ["**Errors and locks**: those of another."]),
    ],
)
def test_a_comment_becomes_paragraphs(comment: str, paragraphs: list[str]) -> None:
    assert list(document.markdown(comment)) == paragraphs
