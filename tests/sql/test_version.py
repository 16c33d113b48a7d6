"""budget.version: what a driver asks first."""

from __future__ import annotations

from tests.pgtap import results_eq
from tests.rows import Connection


def test_major_and_minor(caller: Connection) -> None:
    results_eq(caller, "SELECT budget.version()", [("1.0",)])
