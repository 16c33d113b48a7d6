"""Whoever may not migrate is told who may, or where: the advice was to grant budget_reader, which changes nothing."""

from __future__ import annotations

import pytest
from psycopg.conninfo import make_conninfo

from tests.cli.command import invoke


@pytest.mark.parametrize("options", [["--plan"], []], ids=["plan", "migrate"])
def test_over_what_another_role_has_migrated(dsn: str, app_role: str, options: list[str]) -> None:
    done = invoke("migrate", *options, dsn=make_conninfo(dsn, user=app_role))
    assert done.code == 3
    assert "hint: Who migrates owns the application's tables" in done.err


def test_where_it_may_make_nothing(empty_dsn: str, app_role: str) -> None:
    done = invoke("migrate", dsn=make_conninfo(empty_dsn, user=app_role))
    assert done.code == 3
    assert "hint: Who migrates owns the application's tables" in done.err


def test_a_plan_names_the_grants_in_quoted_names(empty_dsn: str, app_role: str) -> None:
    done = invoke("migrate", "--plan", dsn=make_conninfo(empty_dsn, user=app_role), width=200)
    assert done.code == 1
    assert "GRANT CREATE ON SCHEMA public TO app" in done.out


@pytest.mark.parametrize("options", [["--plan"], []], ids=["plan", "migrate"])
def test_where_nothing_can_be_written(empty_dsn: str, options: list[str]) -> None:
    """As on a standby."""
    done = invoke("migrate", *options, dsn=make_conninfo(empty_dsn, options="-cdefault_transaction_read_only=on"))
    assert done.code == 3
    assert "hint: Connect to the primary if this is a standby" in done.err
