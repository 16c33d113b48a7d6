"""The template has the series `budgets`, whatever SERIES says. A test is a transaction, as in tests/sql."""

from __future__ import annotations

from functools import partial

from pytest_postgresql import factories

from tests.conftest import load_chain
from tests.sql.conftest import caller, clock, reader, shared, today, tx, variant

__all__ = ["caller", "clock", "reader", "shared", "template", "today", "tx", "variant"]

template = factories.postgresql_noproc(depends_on="endpoint", dbname="budgets", load=[partial(load_chain, "budgets")])
