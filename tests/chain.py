"""The migrations of this run's series: those of core, and above them its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import sqlparse

from pgbudget import migrations
from tests.series import SERIES, SLOTS

# Yoyo cuts the same files into statements anew for every database, which takes half of the time.
_cut = cache(sqlparse.split)


def _cut_once(sql: str) -> list[str]:
    return list(_cut(sql))  # yoyo takes some out


sqlparse.split = _cut_once  # type: ignore[assignment] # which is all that yoyo calls


def migrate(dsn: str, **options: Any) -> list[str]:
    """Apply what is pending of this run's series, and of core before it."""
    return migrations.migrate(dsn, series=SERIES, **options)


def load(dsn: str, series: str = SERIES) -> None:
    """Make of an empty database what tests begin with: all of a series, the day's room over the slots of this run."""
    migrations.migrate(dsn, series=series)
    if series == "budgets" and SLOTS > 1:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SELECT budget.set_budget('daily', NULL, p_slots => %s)", [SLOTS])
            connection.execute("DELETE FROM public.escalations")  # which tells of that


def rollback(dsn: str, *, count: int = 1, all: bool = False, **options: Any) -> list[str]:  # noqa: A002 - as there
    """Roll back the last applied migrations, those of core after those that build on them."""
    undone: list[str] = []
    for series in dict.fromkeys((SERIES, "core")):
        if all or len(undone) < count:
            undone += migrations.rollback(dsn, series=series, count=max(0, count - len(undone)), all=all, **options)
    return undone


def pending(dsn: str) -> list[str]:
    """What `migrate` would apply."""
    return migrations.pending(dsn, SERIES)


def files() -> list[Path]:
    """What `migrate` applies to an empty database, in order."""
    return [
        file
        for series in dict.fromkeys(("core", SERIES))
        for file in sorted((migrations.series_dir(series) / "migrations").glob("*.sql"))
        if not file.name.endswith(".rollback.sql")
    ]
