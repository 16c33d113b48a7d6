"""budget.escalations: what was escalated about the budget, for those who may not read the application's table."""

from __future__ import annotations

import psycopg
import pytest

from tests.clock import Clock
from tests.pgtap import has_view
from tests.rows import Connection, as_owner, call, rows

ALL = "SELECT kind, severity, subject, status FROM budget.escalations ORDER BY kind"


def test_a_reader_sees_refusals_caps_and_changes(reader: Connection, clock: Clock) -> None:
    has_view(reader, "budget.escalations")
    with as_owner(reader):
        call(reader, "reserve", 60, "batch")
        call(reader, "reserve", 90, "batch")
        call(reader, "freeze", "a test")
    assert rows(reader, ALL) == [
        ("budget_daily_hard_cap", "high", "daily", "pending"),
        ("budget_daily_soft_cap", "warning", "daily", "pending"),
        ("budget_frozen", "info", None, "resolved"),
        ("budget_refused", "critical", "batch", "pending"),
    ]


def test_what_is_not_of_the_budget_stays_the_applications(reader: Connection) -> None:
    with as_owner(reader):
        call(reader, "escalate", "worker", "call", "timeout")
    assert rows(reader, ALL) == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT * FROM public.escalations")
