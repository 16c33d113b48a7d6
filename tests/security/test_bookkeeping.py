"""Nobody's code runs through yoyo's own tables, which whoever migrates reads and writes with his rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import migrations
from pgbudget._bookkeeping import Bookkeeping
from pgbudget.doctor import examine
from pgbudget.errors import BudgetError
from pgbudget.migrations import _Backend
from pgbudget.plan import plan
from tests import chain
from tests.rows import Connection

pytestmark = pytest.mark.proof

TABLES = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock")

# What each attack does once it runs with the rights of who migrates.
GRASP = """
CREATE FUNCTION evil.grasp() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        ALTER ROLE attacker SUPERUSER;
    END IF;
    RETURN true;
END
$$;
CREATE FUNCTION evil.grasp_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM evil.grasp();
    RETURN NEW;
END
$$;
"""
COLUMNS = "migration_hash varchar(64) PRIMARY KEY, migration_id varchar(255), applied_at_utc timestamp"


@pytest.fixture
def admin(empty_dsn: str) -> Iterator[Connection]:
    """A database whose role `attacker` may create in schemas public and evil, and nothing else."""
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE attacker LOGIN")
        connection.execute("CREATE SCHEMA evil AUTHORIZATION attacker; GRANT CREATE ON SCHEMA public TO attacker")
        try:
            yield connection
        finally:
            connection.execute("ALTER ROLE attacker NOSUPERUSER")
            connection.execute("ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM attacker")
            connection.execute("DROP OWNED BY attacker CASCADE; DROP ROLE attacker")


@pytest.fixture
def attacker(admin: Connection, empty_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(make_conninfo(empty_dsn, user="attacker"), autocommit=True) as connection:
        connection.execute(GRASP.encode())
        yield connection


def is_superuser(admin: Connection) -> bool:
    [(found,)] = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'attacker'")
    return bool(found)


def use_everything(dsn: str) -> None:
    """What a DBA runs, whatever of it is refused."""
    for look in (migrations.pending, plan, lambda each: list(examine(each)), chain.migrate, chain.rollback):
        with suppress(BudgetError, psycopg.Error):
            look(dsn)


VIEW = "SELECT ''::text AS migration_hash, ''::text AS migration_id WHERE evil.grasp()"
PLANTED = {
    "a view": f"CREATE VIEW public._yoyo_migration AS {VIEW}",
    "a table with a trigger": f"""
        CREATE TABLE public._yoyo_migration ({COLUMNS});
        CREATE TRIGGER t BEFORE INSERT ON public._yoyo_migration FOR EACH ROW EXECUTE FUNCTION evil.grasp_row()""",
    "a table with a default": f"""
        CREATE TABLE public._yoyo_migration ({COLUMNS}, more boolean DEFAULT evil.grasp())""",
    "a table with a check": f"CREATE TABLE public._yoyo_migration ({COLUMNS}, CHECK (evil.grasp()))",
    "a table with a policy": f"""
        CREATE TABLE public._yoyo_migration ({COLUMNS});
        ALTER TABLE public._yoyo_migration ENABLE ROW LEVEL SECURITY;
        ALTER TABLE public._yoyo_migration FORCE ROW LEVEL SECURITY;
        CREATE POLICY p ON public._yoyo_migration USING (evil.grasp())""",
    "a lock table with a trigger": """
        CREATE TABLE public.yoyo_lock (locked int DEFAULT 1 PRIMARY KEY, ctime timestamp, pid int NOT NULL);
        CREATE TRIGGER t BEFORE INSERT ON public.yoyo_lock FOR EACH ROW EXECUTE FUNCTION evil.grasp_row()""",
    "a partitioned table": f"CREATE TABLE public._yoyo_migration ({COLUMNS}) PARTITION BY HASH (migration_hash)",
    "a view in a schema that comes first": f"CREATE VIEW evil._yoyo_migration AS {VIEW}",
}  # fmt: skip


def reaching(statements: str, dsn: str) -> str:
    """Connect with a search_path that leads to what was planted."""
    return make_conninfo(dsn, options="-csearch_path=evil,public") if "evil._" in statements else dsn


@pytest.mark.parametrize("statements", PLANTED.values(), ids=PLANTED)
def test_what_was_planted_before_is_refused(
    statements: str, admin: Connection, attacker: Connection, empty_dsn: str
) -> None:
    attacker.execute(statements.encode())
    dsn = reaching(statements, empty_dsn)
    with pytest.raises(BudgetError, match="attacker"):
        chain.migrate(dsn)
    assert any("attacker" in note.note for note in plan(dsn).stops)
    assert any("attacker" in f.found for check in examine(dsn) for f in check.findings) or not installed(admin)
    use_everything(dsn)
    assert not is_superuser(admin)
    assert not installed(admin)


# With these yoyo takes the first for its own, and writes to it.
REST = """
CREATE TABLE public._yoyo_version (version int PRIMARY KEY, installed_at_utc timestamp);
INSERT INTO public._yoyo_version VALUES (2, now());
CREATE TABLE public._yoyo_log (
    id varchar(36) PRIMARY KEY, migration_hash varchar(64), migration_id varchar(255), operation varchar(10),
    username varchar(255), hostname varchar(255), comment varchar(255), created_at_utc timestamp
)
"""
# Against a superuser a policy does nothing, nor a partitioned table.
HARMLESS = {"a table with a policy", "a partitioned table"}


@pytest.mark.parametrize("planted", sorted(PLANTED.keys() - HARMLESS))
def test_each_would_have_run_if_nobody_looked(
    planted: str, admin: Connection, attacker: Connection, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacker.execute(PLANTED[planted].encode())
    if "public._yoyo_migration" in PLANTED[planted]:
        attacker.execute(REST.encode())
    monkeypatch.setattr(Bookkeeping, "unreadable", [])
    monkeypatch.setattr(Bookkeeping, "stops", [])
    monkeypatch.setattr(_Backend, "_revoke", lambda _: None)
    use_everything(reaching(PLANTED[planted], empty_dsn))
    assert is_superuser(admin)


def installed(admin: Connection) -> bool:
    [(found,)] = admin.execute("SELECT to_regnamespace('budget') IS NOT NULL")
    return bool(found)


def test_default_privileges_give_nothing_on_them(admin: Connection, empty_dsn: str) -> None:
    admin.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO attacker")
    chain.migrate(empty_dsn)
    for table in TABLES:
        [(may,)] = admin.execute(
            "SELECT has_table_privilege('attacker', %s, 'SELECT, INSERT, UPDATE, DELETE, TRIGGER')", [f"public.{table}"]
        )
        assert not may, table


@pytest.mark.parametrize("table", TABLES)
def test_a_trigger_of_one_who_was_given_everything(
    table: str, admin: Connection, attacker: Connection, empty_dsn: str
) -> None:
    chain.migrate(empty_dsn)
    admin.execute(f"GRANT ALL ON public.{table} TO attacker".encode())
    assert table in str([check for check in examine(empty_dsn) if check.name == "yoyo's tables"])
    attacker.execute(
        f"CREATE TRIGGER t BEFORE INSERT ON public.{table} FOR EACH ROW EXECUTE FUNCTION evil.grasp_row()".encode()
    )
    use_everything(empty_dsn)
    assert not is_superuser(admin)
    with pytest.raises(BudgetError, match=f"DROP TRIGGER t ON public.{table}"):
        chain.rollback(empty_dsn)
    admin.execute(f"DROP TRIGGER t ON public.{table}".encode())
    chain.migrate(empty_dsn)
    [(may,)] = admin.execute("SELECT has_table_privilege('attacker', %s, 'INSERT, TRIGGER')", [f"public.{table}"])
    assert not may, "the run took it"


def test_rights_on_tables_that_others_use_too_stop_the_plan(admin: Connection, empty_dsn: str) -> None:
    chain.migrate(empty_dsn)
    admin.execute(
        """INSERT INTO public._yoyo_migration VALUES ('h', '0001.theirs', now() AT TIME ZONE 'UTC');
           GRANT INSERT (migration_id) ON public._yoyo_migration TO attacker;
           GRANT SELECT ON public._yoyo_log TO attacker"""
    )
    [stop] = plan(empty_dsn).stops
    assert (stop.note, stop.remedy) == (
        "attacker has rights on yoyo's table public._yoyo_migration: INSERT",
        "REVOKE ALL ON public._yoyo_migration FROM attacker",
    )
    with pytest.raises(BudgetError, match="attacker has rights"):
        chain.migrate(empty_dsn)
    admin.execute("REVOKE ALL ON public._yoyo_migration FROM attacker")
    assert chain.migrate(empty_dsn) == []
    assert plan(empty_dsn).stops == []


def test_a_trigger_of_the_owners_own_is_no_obstacle(admin: Connection, empty_dsn: str) -> None:
    chain.migrate(empty_dsn)
    admin.execute(
        """CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
           CREATE TRIGGER audit BEFORE INSERT ON public._yoyo_log FOR EACH ROW EXECUTE FUNCTION public.audit()"""
    )
    assert len(chain.rollback(empty_dsn)) == 1
    admin.execute("ALTER FUNCTION public.audit() OWNER TO attacker")
    with pytest.raises(BudgetError, match="the trigger audit on yoyo's table"):
        chain.migrate(empty_dsn)
