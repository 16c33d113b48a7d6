"""A plain DBA, no superuser, end to end: migrate, let an application use the driver, roll back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import Budget
from pgbudget.embedded import Server
from tests import chain
from tests.migration.support import NAMES
from tests.pgtap import has_role, is_empty
from tests.rows import Connection

pytestmark = pytest.mark.proof

GROUPS = ("budget_caller", "budget_admin", "budget_reader")


@pytest.fixture
def cluster() -> Iterator[Server]:
    """A server without any role of ours: they belong to the cluster."""
    with Server(settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def superuser(cluster: Server) -> Iterator[Connection]:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        yield connection


def make_dba(superuser: Connection, cluster: Server, name: str, options: str = "") -> str:
    """A login role that owns a database of its name and nothing more; how it connects there."""
    superuser.execute(f"CREATE ROLE {name} LOGIN {options}".encode())
    superuser.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
    return make_conninfo(cluster.dsn(name), user=name)


def test_from_nothing_to_nothing(cluster: Server, superuser: Connection) -> None:
    dsn = make_dba(superuser, cluster, "dba", "CREATEROLE")
    with psycopg.connect(dsn, autocommit=True) as dba:
        assert chain.migrate(dsn) == NAMES
        dba.execute("CREATE ROLE app LOGIN")
        dba.execute("GRANT budget_caller TO app")
        is_empty(
            dba,
            """SELECT p.oid::regprocedure::text FROM pg_proc AS p
                WHERE p.pronamespace = 'budget'::regnamespace AND p.proowner <> 'dba'::regrole""",
        )

        with psycopg.connect(make_conninfo(dsn, user="app"), autocommit=True) as app:
            budget = Budget(app)
            granted = budget.reserve(Decimal(60), "llm")
            assert granted.can_proceed
            assert not budget.reserve_advisory(Decimal(60), "llm").can_proceed
            assert granted.reservation_id is not None
            assert budget.settle(granted.reservation_id, Decimal("40.5")).status == "actual"
            second = budget.reserve_advisory(Decimal(50), "llm")
            assert second.reservation_id is not None
            assert budget.cancel(second.reservation_id).status == "cancelled"
            assert budget.record(Decimal(60), "llm").over_limit
            for statement in (b"SELECT * FROM budget.status", b"DELETE FROM public.cost_tracking"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute(statement)

        dba.execute("DELETE FROM public.cost_tracking")
        dba.execute("DELETE FROM public.escalations")
        assert chain.rollback(dsn, all=True) == NAMES[::-1]
        is_empty(
            dba,
            """SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace
               UNION ALL SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace
               UNION ALL SELECT n.nspname FROM pg_namespace AS n WHERE n.nspname = 'budget'""",
        )


def test_roles_that_are_there_need_no_createrole(cluster: Server, superuser: Connection) -> None:
    """Also those of a platform, to whose service_role the membership was given before."""
    for role in (*GROUPS, "anon", "authenticated", "service_role"):
        superuser.execute(f"CREATE ROLE {role}".encode())
    superuser.execute("GRANT budget_caller TO service_role")
    dsn = make_dba(superuser, cluster, "dba")
    assert chain.migrate(dsn) == NAMES
    assert chain.rollback(dsn, all=True) == NAMES[::-1]


@pytest.mark.parametrize("missing", [GROUPS, ("budget_reader",)], ids=["all", "one"])
def test_without_createrole_a_missing_role_is_an_error_and_nothing_is_changed(
    cluster: Server, superuser: Connection, missing: tuple[str, ...]
) -> None:
    for role in set(GROUPS) - set(missing):
        superuser.execute(f"CREATE ROLE {role}".encode())
    dsn = make_dba(superuser, cluster, "dba")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"0001\.\w+: .*create role"):
        chain.migrate(dsn)
    with psycopg.connect(dsn) as dba:
        is_empty(dba, "SELECT nspname FROM pg_namespace WHERE nspname = 'budget'")


def test_rollback_leaves_the_roles_to_other_databases(cluster: Server, superuser: Connection) -> None:
    first = make_dba(superuser, cluster, "first", "CREATEROLE")
    second = make_dba(superuser, cluster, "second")
    chain.migrate(first)
    chain.migrate(second)
    chain.rollback(first, all=True)
    for role in GROUPS:
        has_role(superuser, role)
    assert chain.pending(second) == []
