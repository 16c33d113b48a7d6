"""`pgbudget migrate` with --grant-to and --accept-negative."""

from __future__ import annotations

import json

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import migrations
from tests.cli.terminal import run
from tests.migration.support import Connection, one, session


def member(connection: Connection, role: str) -> bool:
    return bool(one(connection, "SELECT pg_has_role(%s, 'budget_caller', 'MEMBER')", role))


def test_roles_become_callers(empty_dsn: str) -> None:
    with session(empty_dsn) as db:
        db.execute('CREATE ROLE "My App" LOGIN; CREATE ROLE worker LOGIN')
        try:
            done = run("migrate", "--dsn", empty_dsn, "--grant-to", "My App", "--grant-to", "worker")
            assert (done.code, done.err) == (0, "")
            assert done.out.splitlines()[-3:] == [
                f"{len(migrations.names())} applied",
                "My App is a member of budget_caller",
                "worker is a member of budget_caller",
            ]
            assert member(db, "My App")
            for role in ("My App", "worker"):
                with session(make_conninfo(empty_dsn, user=role)) as caller:
                    assert one(caller, "SELECT can_proceed FROM budget.reserve(1, 'service')") is True
        finally:
            db.execute('DROP ROLE "My App"; DROP ROLE worker')


def test_a_role_can_be_granted_to_later(dsn: str) -> None:
    with session(dsn) as db:
        db.execute("CREATE ROLE late")
        try:
            assert not member(db, "late")
            for _ in range(2):
                done = run("migrate", "--dsn", dsn, "--grant-to", "late", "--json")
                assert json.loads(done.out) == {"applied": [], "granted_to": ["late"]}
                assert member(db, "late")
        finally:
            db.execute("DROP ROLE late")


@pytest.mark.parametrize("options", [[], ["--plan"]])
def test_an_unknown_role_is_refused_before_anything_is_done(empty_dsn: str, options: list[str]) -> None:
    roles = ["--grant-to", "postgres", "--grant-to", "nobody at all", "--grant-to", "PUBLIC"]
    done = run("migrate", "--dsn", empty_dsn, *options, *roles)
    assert (done.code, done.out) == (1, "")
    assert "there is no role 'PUBLIC', 'nobody at all' to grant budget_caller to" in done.err
    with session(empty_dsn) as db:
        assert one(db, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0
        assert one(db, "SELECT to_regnamespace('budget')") is None


def test_negative_rows_are_taken_over_when_they_are_accepted(application_dsn: str) -> None:
    with session(application_dsn) as db:
        db.execute("UPDATE cost_tracking SET cost = -cost WHERE cost BETWEEN 3 AND 5")
        refused = run("migrate", "--dsn", application_dsn)
        assert refused.code == 3
        assert "--accept-negative" in refused.err
        assert run("migrate", "--dsn", application_dsn, "--accept-negative").code == 0
        assert one(db, "SELECT count(*) FROM cost_tracking WHERE cost < 0") == 3
        with pytest.raises(psycopg.errors.CheckViolation):
            db.execute("INSERT INTO cost_tracking (service_name, cost) VALUES ('new', -1)")
