"""A dump that is restored in a cluster without our roles: `migrate` makes them, callers call, `anon` does not.

Seen: boardsesh#4699, supabase/cli#2352. A platform's default privileges let `anon` execute check_and_reserve_budget,
the application was locked out, and `migrate` had nothing to apply. A restore of rows alone lost the limits, and
`doctor` was content.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import product
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import Budget
from pgbudget.doctor import examine
from pgbudget.embedded import Server
from tests import chain
from tests.race import SECONDS
from tests.rows import Connection
from tests.series import SERIES

pytestmark = pytest.mark.proof

ROLES = ("budget_caller", "budget_admin", "budget_reader")
WEB = "anon, authenticated, service_role"
ENTRY = "public.check_and_reserve_budget(numeric, text, jsonb)"


@pytest.fixture(scope="module")
def other() -> Iterator[Server]:
    """Another cluster, that of a platform with web roles; without ours."""
    with (
        Server(settings={"fsync": "off", "full_page_writes": "off"}) as server,
        psycopg.connect(server.dsn(), autocommit=True) as connection,
    ):
        for role in (*WEB.split(", "), "app"):
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute("CREATE ROLE other_owner LOGIN CREATEROLE")
        yield server


@pytest.fixture
def target(other: Server) -> Iterator[str]:
    """An empty database there, in which the web roles get everything that is made."""
    with psycopg.connect(other.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE target OWNER other_owner")
        dsn = other.dsn("target")
        with psycopg.connect(dsn, autocommit=True) as there:
            for owner, what in product(("postgres", "other_owner"), ("TABLES", "FUNCTIONS")):
                defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public"
                there.execute(f"{defaults} GRANT ALL ON {what} TO {WEB}".encode())
        yield dsn
        connection.execute("DROP DATABASE target WITH (FORCE)")
        for role in ROLES:
            connection.execute(f"DROP ROLE IF EXISTS {role}".encode())


@pytest.fixture
def hold(db: Connection) -> UUID:
    """Limits of its own, spend, and an open hold in the database that is dumped."""
    db.execute("SELECT budget.set_limits('{\"emergency_kill\": 77}')")
    if SERIES == "budgets":
        db.execute("SELECT budget.set_budget('svc', 50, 'service')")
    db.execute("SELECT budget.record(3, 'svc')")
    [(found,)] = db.execute("SELECT reservation_id FROM budget.reserve(2, 'svc')")
    assert isinstance(found, UUID)
    return found


def run(server: Server, program: str, *arguments: str | Path, check: bool = True) -> str:
    command = [str(server.bin_dir / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout + done.stderr


def troubles(dsn: str) -> list[tuple[str, str]]:
    """What a superuser sees who trusts whoever restored."""
    checks = examine(dsn, accept_owner=True)
    return [(check.name, f.found) for check in checks for f in check.findings if f.verdict == "wrong"]


def may(dsn: str, role: str) -> bool:
    with psycopg.connect(dsn) as connection:
        [(found,)] = connection.execute("SELECT has_function_privilege(%s, %s, 'EXECUTE')", [role, ENTRY])
    return bool(found)


def assert_whole(dsn: str, hold: UUID) -> None:
    """All is well, limits and rows are as they were, callers call and nobody else does."""
    assert troubles(dsn) == []
    assert not any(may(dsn, role) for role in ("anon", "authenticated"))
    assert may(dsn, "service_role")
    for role, schema in (("anon", "public.check_and_reserve_budget"), ("authenticated", "budget.reserve")):
        with psycopg.connect(dsn, user=role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT {schema}(1, 'svc')".encode())
    with Budget(make_conninfo(dsn, user="app")) as budget:
        verdict = budget.reserve(1, "svc")
        assert (verdict.can_proceed, verdict.current_total) == (True, Decimal(5))
        assert budget.settle(hold, 2).late is False
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT emergency_kill, settled, held FROM budget.status").fetchone() == (77, 5, 1)
        assert connection.execute("SELECT count(*) FROM budget.invariants").fetchone() == (0,)
        if SERIES == "budgets":
            assert connection.execute("SELECT count(*) FROM budget.budgets WHERE name = 'svc'").fetchone() == (1,)


def plain(server: Server, source: str, target: str, folder: Path) -> str:
    run(server, "pg_dump", "--file", folder / "dump.sql", source)
    return run(server, "psql", "--no-psqlrc", "--quiet", "--file", folder / "dump.sql", target)


def custom(server: Server, source: str, target: str, folder: Path) -> str:
    run(server, "pg_dump", "--format=custom", "--file", folder / "dump", source)
    return run(server, "pg_restore", "--dbname", target, folder / "dump", check=False)


def without_rights(server: Server, source: str, target: str, folder: Path) -> str:
    run(server, "pg_dump", "--format=custom", "--no-privileges", "--file", folder / "dump", source)
    return run(server, "pg_restore", "--dbname", target, folder / "dump", check=False)


def other_owner(server: Server, source: str, target: str, folder: Path) -> str:
    run(server, "pg_dump", "--format=custom", "--file", folder / "dump", source)
    into = make_conninfo(target, user="other_owner")
    return run(server, "pg_restore", "--no-owner", "--dbname", into, folder / "dump", check=False)


@pytest.mark.parametrize("way", [plain, custom, without_rights, other_owner])
def test_the_next_migrate_makes_it_whole(  # noqa: PLR0917 - fixtures
    way: Callable[[Server, str, str, Path], str], other: Server, dsn: str, hold: UUID, target: str, tmp_path: Path
) -> None:
    way(other, dsn, target, tmp_path)
    assert may(target, "anon"), "this is what the platform gave"
    assert len(troubles(target)) > 3
    migrating = make_conninfo(target, user="other_owner") if way is other_owner else target
    mended: list[str] = []
    assert chain.migrate(migrating, grant_to=["app"], on_mend=mended.append) == []
    assert [f"made the role {role}, which this cluster did not have" for role in ROLES] == mended[:3]
    assert_whole(target, hold)
    assert chain.migrate(migrating, on_mend=mended.append) == []
    assert len(mended) == len(set(mended)), "again does nothing"


def test_the_same_with_a_publication_of_all_tables(  # noqa: PLR0917 - fixtures
    other: Server, dsn: str, db: Connection, hold: UUID, target: str, tmp_path: Path
) -> None:
    db.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    plain(other, dsn, target, tmp_path)
    chain.migrate(target, grant_to=["app"])
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT puballtables FROM pg_publication").fetchone() == (True,)
    assert_whole(target, hold)


def test_a_right_that_a_dba_took_stays_away_and_is_told(dsn: str, db: Connection, app_role: str) -> None:
    db.execute("REVOKE EXECUTE ON FUNCTION budget.freeze(text) FROM budget_admin")
    chain.migrate(dsn)
    told = [f for check in examine(dsn) if check.name == "rights of the roles" for f in check.findings]
    assert [(f.verdict, f.mend) for f in told] == [
        ("note", "GRANT EXECUTE ON FUNCTION budget.freeze(text) TO budget_admin")
    ]
    db.execute(str(told[0].mend).encode())
    assert all(not check.findings for check in examine(dsn) if check.name == "rights of the roles")


def test_roles_without_any_right_are_found_and_mended(dsn: str, db: Connection, app_role: str) -> None:
    db.execute("DROP OWNED BY budget_caller")
    assert ("rights of the roles", "budget_caller holds none of its rights in this database") in troubles(dsn)
    chain.migrate(dsn)
    assert troubles(dsn) == []
    with Budget(make_conninfo(dsn, user=app_role)) as budget:
        assert budget.reserve(1, "svc")


EMPTIED = ["DELETE FROM public.system_config"]
if SERIES == "budgets":
    EMPTIED.append("DELETE FROM budget.budgets")


def rows(server: Server, source: str, folder: Path) -> Path:
    file = folder / "rows.sql"
    run(server, "pg_dump", "--data-only", "--exclude-table=_yoyo*", "--exclude-table=yoyo_lock", "--file", file, source)
    return file


def test_rows_alone_as_documented(other: Server, dsn: str, hold: UUID, target: str, tmp_path: Path) -> None:
    file = rows(other, dsn, tmp_path)
    chain.migrate(target, grant_to=["app"])
    before = [part for each in EMPTIED for part in ("-c", each)]
    off, on = (f"ALTER TABLE public.cost_tracking {word} TRIGGER USER" for word in ("DISABLE", "ENABLE"))
    psql = ("psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--dbname", target)
    run(other, *psql, *before, "-c", off, "-f", file, "-c", on)
    assert_whole(target, hold)


def test_rows_alone_over_the_first_limits_are_an_error_or_told(
    other: Server, dsn: str, hold: UUID, target: str, tmp_path: Path
) -> None:
    file = rows(other, dsn, tmp_path)
    chain.migrate(target)
    psql = ("psql", "--no-psqlrc", "--quiet", "--dbname", target)
    assert "duplicate key" in run(
        other, *psql, "--single-transaction", "--set=ON_ERROR_STOP=1", "-f", file, check=False
    )
    run(other, *psql, "-f", file, check=False)
    told = {check.name for check in examine(target) if check.verdict in ("wrong", "note")}
    assert "settings as they were last set" in told
    if SERIES == "budgets":
        assert "budgets as they were last set" in told
