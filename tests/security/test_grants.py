"""Rights that others give: by default privileges (taken back), by the DBA or by adoption (kept in a second run)."""

from __future__ import annotations

import psycopg
import pytest

from pgbudget.embedded import Server
from tests import chain
from tests.conftest import Endpoint
from tests.pgtap import function_privs_are, schema_privs_are, table_privs_are
from tests.rows import Connection
from tests.security.conftest import PLATFORM_DEFAULTS, run_again

OURS = "public.check_and_reserve_budget(numeric, text, jsonb)"
THEIRS = "public.check_and_reserve_budget_before_pgbudget(numeric, text, jsonb)"

# An application that is there before: its ledger and its function, which anybody may call.
APPLICATION = f"""
CREATE TABLE public.cost_tracking (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    service_name text NOT NULL,
    cost numeric(10, 4) NOT NULL,
    metadata jsonb DEFAULT '{{}}',
    created_at timestamptz DEFAULT now()
);
CREATE FUNCTION {OURS}
RETURNS TABLE (can_proceed boolean, current_total numeric, reservation_id uuid)
LANGUAGE sql AS 'SELECT true, 0.0, gen_random_uuid()';
GRANT INSERT ON public.cost_tracking TO authenticated, "Web User", anon;
"""


@pytest.mark.parametrize("role", ["anon", "authenticated", "Web User"])
def test_default_privileges_give_nothing(hosted: Connection, role: str) -> None:
    schema_privs_are(hosted, "budget", role, [])
    for (function,) in hosted.execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'budget'::regnamespace"
    ).fetchall():
        function_privs_are(hosted, function, role, [])
    function_privs_are(hosted, OURS, role, [])


def test_what_the_dba_granted_stays(hosted: Connection) -> None:
    with hosted.transaction(force_rollback=True):
        hosted.execute(
            """GRANT USAGE ON SCHEMA budget TO "Web User";
               GRANT SELECT ON budget.daily_spend, public.escalations TO "Web User";
               GRANT EXECUTE ON FUNCTION budget.check(numeric, text, jsonb), budget._reading(),
                   budget._window(timestamptz, text) TO "Web User";
               GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO authenticated;"""
        )
        run_again(hosted)
        schema_privs_are(hosted, "budget", "Web User", ["USAGE"])
        table_privs_are(hosted, "budget.daily_spend", "Web User", ["SELECT"])
        table_privs_are(hosted, "public.escalations", "Web User", ["SELECT"])
        function_privs_are(hosted, "budget.check(numeric, text, jsonb)", "Web User", ["EXECUTE"])
        function_privs_are(hosted, "budget._reading()", "Web User", ["EXECUTE"])
        function_privs_are(hosted, OURS, "authenticated", ["EXECUTE"])
        hosted.execute('SET LOCAL ROLE "Web User"')
        assert hosted.execute("SELECT count(*) FROM budget.daily_spend").fetchone() == (1,)


def test_a_grant_to_anon_or_on_an_internal_function_does_not(hosted: Connection) -> None:
    with hosted.transaction(force_rollback=True):
        hosted.execute(
            """GRANT EXECUTE ON FUNCTION budget.check(numeric, text, jsonb) TO anon;
               GRANT EXECUTE ON FUNCTION budget._read_config() TO "Web User";"""
        )
        run_again(hosted)
        function_privs_are(hosted, "budget.check(numeric, text, jsonb)", "anon", [])
        function_privs_are(hosted, "budget._read_config()", "Web User", [])


def test_adoption_keeps_who_could_call_and_write_but_never_web_users(
    server: Server, endpoint: Endpoint, roles: None
) -> None:
    with endpoint.database("adopted"), psycopg.connect(server.dsn("adopted"), autocommit=True) as connection:
        connection.execute(PLATFORM_DEFAULTS.encode())
        connection.execute(APPLICATION.encode())
        connection.execute("REVOKE ALL ON public.cost_tracking FROM service_role")
        chain.migrate(server.dsn("adopted"))
        for _ in ("migrated", "run again"):
            function_privs_are(connection, OURS, "authenticated", [])
            function_privs_are(connection, OURS, "Web User", ["EXECUTE"])
            function_privs_are(connection, OURS, "service_role", ["EXECUTE"])  # through budget_caller
            function_privs_are(connection, OURS, "nobody", [])  # could call, but not write
            function_privs_are(connection, OURS, "anon", [])
            for role in ("authenticated", "Web User", "service_role", "nobody", "anon"):
                function_privs_are(connection, THEIRS, role, [])
            run_again(connection)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_the_bookkeeping_of_migrations_is_not_exposed(hosted: Connection, role: str) -> None:
    for table in ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock"):
        table_privs_are(hosted, f"public.{table}", role, [])
