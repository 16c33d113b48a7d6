"""The report of this test's database, as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgbudget.report import read_facts, report_page

Connection = psycopg.Connection[Any]
Write = Callable[..., Path]


@pytest.fixture
def write(db: Connection, tmp_path: Path) -> Write:
    """Write the report of the last days, as the superuser or on another connection."""

    def report(days: int = 30, connection: Connection | None = None) -> Path:
        page = tmp_path / "report.html"
        page.write_text(report_page(read_facts(connection or db, days)), "utf-8")
        return page

    return report
