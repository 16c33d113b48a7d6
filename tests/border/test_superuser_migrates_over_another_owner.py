"""A superuser migrates over tables of another role: never unasked, and then the functions are that role's all the same.

They were the superuser's, so that a trigger of the tables' owner made its author one when a reservation fired it.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget.embedded import Server
from pgbudget.errors import BudgetError
from pgbudget.plan import plan
from tests import chain
from tests.cli.command import invoke
from tests.migration.support import APPLICATION, found
from tests.pgtap import is_empty
from tests.remedies import troubles
from tests.rows import Connection
from tests.series import SERIES

ROLES = ("app_writer", "app_reader", "anon", "App Owner", "app_dba")

OF_OTHERS = """
SELECT p.oid::regprocedure::text FROM pg_proc AS p
WHERE (p.pronamespace = 'budget'::regnamespace OR p.proname LIKE 'check_and_reserve_budget%')
    AND p.proowner <> '"App Owner"'::regrole
UNION ALL
SELECT c.oid::regclass::text FROM pg_class AS c
WHERE (c.relnamespace = 'budget'::regnamespace OR c.relnamespace = 'public'::regnamespace AND c.relname !~ 'yoyo')
    AND c.relowner <> '"App Owner"'::regrole
UNION ALL
SELECT n.nspname FROM pg_namespace AS n WHERE n.nspname = 'budget' AND n.nspowner <> '"App Owner"'::regrole
"""


@pytest.fixture
def superuser(empty_dsn: str, app_role: str) -> Iterator[Connection]:
    """Of a database whose tables are App Owner's, who has no right to make anything in public or a schema."""
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
        connection.execute('GRANT CREATE ON SCHEMA public TO "App Owner"; SET SESSION AUTHORIZATION "App Owner"')
        connection.execute(APPLICATION.read_bytes())
        connection.execute('RESET SESSION AUTHORIZATION; REVOKE CREATE ON SCHEMA public FROM "App Owner"')
        connection.execute("DROP TABLE public.proposer_configs")
        try:
            yield connection
        finally:
            connection.execute('REASSIGN OWNED BY "App Owner" TO postgres')
            for role in ROLES:
                connection.execute(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"'.encode())


def test_it_is_refused_and_the_plan_says_so_before(superuser: Connection, empty_dsn: str) -> None:
    (stop,) = plan(empty_dsn).stops
    assert stop.note.startswith('public.cost_tracking is owned by "App Owner", whose code would run with the rights of')
    assert stop.remedy
    assert "--accept-owner" in stop.remedy
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match='owned by "App Owner"'):
        chain.migrate(empty_dsn)


def test_accepted_it_makes_everything_the_owners(server: Server, superuser: Connection, empty_dsn: str) -> None:
    as_found = found(server, empty_dsn)
    assert plan(empty_dsn, accept_owner=True).stops == []
    assert invoke("migrate", "--series", SERIES, "--accept-owner", dsn=empty_dsn).code == 0
    is_empty(superuser, OF_OTHERS)
    wrong = {trouble[0] for trouble in troubles(empty_dsn, "--accept-owner") if trouble[1] == "wrong"}
    assert wrong == {"who else may write the tables"}  # anon, from before

    # What he puts on his table runs with his own rights.
    superuser.execute("CREATE TABLE public.ran_as (who name); GRANT ALL ON public.ran_as TO PUBLIC")
    superuser.execute(
        """CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN INSERT INTO public.ran_as VALUES (current_user); RETURN NEW; END $$;
           ALTER FUNCTION public.note() OWNER TO "App Owner";
           CREATE TRIGGER note BEFORE INSERT ON public.cost_tracking FOR EACH ROW EXECUTE FUNCTION public.note()"""
    )
    with psycopg.connect(make_conninfo(empty_dsn, user="app"), autocommit=True) as app:
        app.execute("SELECT budget.record(0, 'x')")
    assert superuser.execute("SELECT who FROM public.ran_as").fetchall() == [("App Owner",)]
    superuser.execute("DROP FUNCTION public.note() CASCADE; DROP TABLE public.ran_as")
    superuser.execute("DELETE FROM public.cost_tracking WHERE service_name = 'x'")

    # Again, and back.
    superuser.execute("SET pgbudget.accept_owner = on")
    for file in chain.files():
        if b"-- transactional: false" not in file.read_bytes():
            superuser.execute(file.read_bytes())
    is_empty(superuser, OF_OTHERS)
    with pytest.raises(BudgetError, match="pgbudget belongs to 'App Owner' here"):
        chain.rollback(empty_dsn, all=True)
    chain.rollback(empty_dsn, all=True, accept_owner=True)
    assert found(server, empty_dsn) == as_found


def test_the_owner_himself_needs_nobody(superuser: Connection, empty_dsn: str) -> None:
    superuser.execute('GRANT CREATE ON SCHEMA public TO "App Owner"; GRANT CREATE ON DATABASE empty TO "App Owner"')
    chain.migrate(make_conninfo(empty_dsn, user="App Owner"))
    is_empty(superuser, OF_OTHERS)


def test_a_member_of_the_owner_is_asked_like_a_superuser(superuser: Connection, empty_dsn: str) -> None:
    superuser.execute(
        """GRANT CREATE ON DATABASE empty TO app_dba; GRANT CREATE ON SCHEMA public TO "App Owner", app_dba;
           GRANT "App Owner" TO app_dba"""
    )
    dsn = make_conninfo(empty_dsn, user="app_dba")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match='owned by "App Owner"'):
        chain.migrate(dsn)
    chain.migrate(dsn, accept_owner=True)
    is_empty(superuser, OF_OTHERS)
