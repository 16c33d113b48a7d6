"""A role that was given a little tries to run code with the rights of others, or to gain a right, by way of our tools.

Each attack is an attacker's way in: what a DBA once granted or built, and what the attacker makes of it. Then the DBA,
a superuser, does all that can be done with pgbudget, and an application calls. The attacker's function springs where it
runs with rights that are not his.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import migrations
from pgbudget.embedded import Server
from pgbudget.errors import BudgetError
from pgbudget.plan import plan
from tests import chain
from tests.cli.command import invoke
from tests.migration.support import APPLICATION, one
from tests.pgtap import is_empty
from tests.race import until
from tests.rows import Connection
from tests.series import SERIES

pytestmark = pytest.mark.proof

ROLES = ("app_writer", "app_reader", "anon", "App Owner", "mallory")

# A sequence counts even where the transaction is undone; where it may not be written the error is seen. `check` is for
# expressions, and so must be called immutable.
TRAPS = """
CREATE SCHEMA mallory;
GRANT USAGE ON SCHEMA mallory TO PUBLIC;
CREATE SEQUENCE mallory.sprung;
GRANT ALL ON mallory.sprung TO PUBLIC;
CREATE FUNCTION mallory.spring() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> 'mallory' AND to_regclass('mallory.armed') IS NOT NULL THEN
        PERFORM nextval('mallory.sprung');
    END IF;
EXCEPTION WHEN read_only_sql_transaction THEN
    RAISE EXCEPTION 'the trap was sprung';
END $$;
CREATE FUNCTION mallory.trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mallory.spring();
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE FUNCTION mallory.check(p_value text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM mallory.spring();
    RETURN true;
END $$;
CREATE FUNCTION mallory.pair(p_left text, p_right text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM mallory.spring();
    RETURN true;
END $$;
CREATE FUNCTION mallory.text() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mallory.spring();
    RETURN 'text';
END $$;
CREATE OPERATOR mallory.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = mallory.pair);
CREATE DOMAIN mallory.name AS text;
CREATE TABLE mallory.armed ();
"""


@dataclass(frozen=True)
class Attack:
    """What the DBA did once; what the attacker does with it before pgbudget comes, and again each time afterwards."""

    dba: str
    mallory: str = ""


TRIGGER = """CREATE TRIGGER trap BEFORE INSERT OR UPDATE OR DELETE ON public.{} FOR EACH ROW
             EXECUTE FUNCTION mallory.trap()"""
INTO_LEDGER = TRIGGER.format("cost_tracking")
# Deferred, a trigger ran with the rights of who commits, until PostgreSQL 18.
REFERENCE = """
CREATE TABLE IF NOT EXISTS {0}.child (key text REFERENCES public.system_config (key) ON DELETE CASCADE);
DROP TRIGGER IF EXISTS trap ON {0}.child;
CREATE CONSTRAINT TRIGGER trap AFTER DELETE ON {0}.child DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION mallory.trap();
"""
REFER = """
INSERT INTO {}.child SELECT c.key FROM public.system_config AS c WHERE c.key IN ('budget_limits', 'budget_freeze')
"""
NO_LIMITS = "DELETE FROM public.system_config WHERE key = 'budget_limits'"  # those of pgbudget are deleted again
OWN_CHILD = f"CREATE TABLE public.child () INHERITS (public.cost_tracking); {TRIGGER.format('child')};"

ATTACKS = {
    "may make triggers": Attack("GRANT SELECT, TRIGGER ON public.cost_tracking TO mallory", INTO_LEDGER),
    "may make triggers on the settings": Attack(
        "GRANT SELECT, TRIGGER ON public.system_config TO mallory", TRIGGER.format("system_config")
    ),
    "may make triggers on the escalations": Attack(
        "GRANT SELECT, TRIGGER ON public.escalations TO PUBLIC", TRIGGER.format("escalations")
    ),
    "may make triggers with functions of the session": Attack(
        "GRANT SELECT, TRIGGER ON public.cost_tracking TO mallory",
        """CREATE OR REPLACE FUNCTION pg_temp.trap() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN PERFORM mallory.spring(); RETURN NEW; END $$;
           CREATE TRIGGER trap BEFORE INSERT ON public.cost_tracking FOR EACH ROW EXECUTE FUNCTION pg_temp.trap()""",
    ),
    "may refer to the settings": Attack(
        f"{NO_LIMITS}; GRANT SELECT, REFERENCES ON public.system_config TO mallory",
        REFERENCE.format("mallory") + REFER.format("mallory"),
    ),
    "owns the function of a trigger on what refers to the settings": Attack(
        f"{NO_LIMITS}; {REFERENCE.format('public')} GRANT SELECT ON public.system_config TO mallory;"
        "GRANT INSERT ON public.child TO mallory",
        REFER.format("public"),
    ),
    "owns the function of a trigger": Attack(INTO_LEDGER),
    "owns the function of a trigger's condition": Attack(
        """CREATE TRIGGER trap BEFORE INSERT ON public.cost_tracking FOR EACH ROW WHEN (mallory.check(NEW.service_name))
           EXECUTE FUNCTION suppress_redundant_updates_trigger()""".replace("INSERT", "UPDATE")
    ),
    "owns the function of a default": Attack(
        "ALTER TABLE public.cost_tracking ADD COLUMN mark text DEFAULT mallory.text()"
    ),
    "owns the function of a generated column": Attack(
        """ALTER TABLE public.cost_tracking
           ADD COLUMN mark boolean GENERATED ALWAYS AS (mallory.check(service_name)) STORED"""
    ),
    "owns the function of a constraint": Attack(
        "ALTER TABLE public.cost_tracking ADD CHECK (mallory.check(service_name))"
    ),
    "owns the function of an index": Attack("CREATE INDEX ON public.cost_tracking (mallory.check(service_name))"),
    "owns the function of an index's condition": Attack(
        "CREATE INDEX ON public.cost_tracking (cost) WHERE mallory.check(service_name)"
    ),
    "owns an operator": Attack(
        "ALTER TABLE public.cost_tracking ADD CHECK (service_name OPERATOR(mallory.===) service_name)"
    ),
    "owns the domain of a column": Attack(
        "ALTER TABLE public.cost_tracking ADD COLUMN mark mallory.name DEFAULT 'a'",
        "ALTER DOMAIN mallory.name ADD CHECK (mallory.check(VALUE))",
    ),
    "owns the function of a domain": Attack(
        """CREATE DOMAIN public.mark AS text CHECK (mallory.check(VALUE));
           ALTER TABLE public.cost_tracking ADD COLUMN mark public.mark DEFAULT 'a'"""
    ),
    "owns a domain in a composite type": Attack(
        """CREATE DOMAIN public.mark AS text CHECK (mallory.check(VALUE));
           CREATE TYPE public.pair AS (mark public.mark);
           ALTER TABLE public.cost_tracking ADD COLUMN mark public.pair DEFAULT ROW('a')::public.pair"""
    ),
    "owns the function of a rule": Attack(
        "CREATE RULE trap AS ON UPDATE TO public.cost_tracking DO ALSO SELECT mallory.check(NEW.service_name)"
    ),
    "owns the function of a policy": Attack(
        """ALTER TABLE public.cost_tracking ENABLE ROW LEVEL SECURITY;
           CREATE POLICY trap ON public.cost_tracking USING (mallory.check(service_name))"""
    ),
    "owns a child of the ledger": Attack(
        f"{OWN_CHILD} ALTER TABLE public.child OWNER TO mallory;"
        "INSERT INTO public.child (service_name, cost, metadata) VALUES ('child', 1, '{\"type\": \"reservation\"}')"
    ),
    "owns the function of a child's trigger": Attack(
        f"{OWN_CHILD}"
        "INSERT INTO public.child (service_name, cost, metadata) VALUES ('child', 1, '{\"type\": \"reservation\"}')"
    ),
    "owns the ledger and the rest": Attack(
        f"""{INTO_LEDGER}; {TRIGGER.format("system_config")};
            ALTER TABLE public.cost_tracking OWNER TO mallory; ALTER TABLE public.escalations OWNER TO mallory;
            ALTER TABLE public.system_config OWNER TO mallory; ALTER TABLE public.work_orders OWNER TO mallory;
            ALTER TABLE public.proposer_configs OWNER TO mallory;
            {NO_LIMITS}"""
    ),
    "owns the escalations": Attack("ALTER TABLE public.escalations OWNER TO mallory", TRIGGER.format("escalations")),
    "may create in public": Attack(
        """GRANT CREATE ON SCHEMA public TO mallory;
           DROP FUNCTION public.check_and_reserve_budget(numeric, text, jsonb)""",
        """CREATE FUNCTION public.check_and_reserve_budget(
               p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'
           )
           RETURNS TABLE (can_proceed boolean, current_total numeric, reservation_id uuid)
           LANGUAGE plpgsql AS 'BEGIN RETURN; /* budget.reserve( */ END';
           GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO app_reader""",
    ),
    "is given what is made": Attack(
        """DROP TABLE public.cost_tracking, public.escalations, public.system_config, public.work_orders,
               public.proposer_configs;
           ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO mallory;
           ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO mallory;
           ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO mallory;
           ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO mallory""",
        INTO_LEDGER,
    ),
    "is bound by row security": Attack(
        """ALTER TABLE public.cost_tracking ENABLE ROW LEVEL SECURITY;
           CREATE POLICY own ON public.cost_tracking TO mallory WITH CHECK (service_name = 'mallory');
           GRANT INSERT ON public.cost_tracking TO mallory;
           GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO mallory"""
    ),
}

CALLS = (
    "SELECT public.check_and_reserve_budget(1, 'svc')",
    "SELECT budget.settle(reservation_id, 1) FROM budget.reserve(1, 'svc')",
    "SELECT budget.cancel(reservation_id) FROM budget.reserve_advisory(1, 'svc')",
    "SELECT budget.extend(reservation_id, 2) FROM budget.reserve(1, 'svc')",
    "SELECT budget.record(0, 'svc')",
    "SELECT budget.escalate('a', 'b', 'c')",
    "SELECT budget.route_work_order('00000000-0000-0000-0000-0000000000b1', 'do it', '{}', 0.5, true)",
)
ADMINS = (
    "SELECT budget.freeze('a while')",
    "SELECT budget.unfreeze()",
    "SELECT budget.set_limits('{\"emergency_kill\": 150}')",
    "SELECT budget.expire()",
    "SELECT * FROM budget.status",
)


@pytest.fixture
def attacked(server: Server, empty_dsn: str, app_role: str) -> Iterator[Connection]:
    """The application's database with an attacker's schema in it, as its superuser."""
    with psycopg.connect(empty_dsn, autocommit=True) as dba:
        for role in ROLES:
            dba.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
        dba.execute("GRANT CREATE ON DATABASE empty TO mallory")
        dba.execute(APPLICATION.read_bytes())
        try:
            yield dba
        finally:
            # A session that ends drops its functions, and nobody else may be dropping them then.
            sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mallory'"
            until(lambda: one(dba, sessions) == 0, "his session to end")
            dba.execute("REASSIGN OWNED BY mallory TO postgres")
            for role in ROLES:
                dba.execute(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"'.encode())


def quietly(connection: Connection, *statements: str) -> str:
    """Run what can be run; the messages of what cannot."""
    return "".join(said_by(connection, statement) for statement in statements)


def said_by(connection: Connection, statement: str) -> str:
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        return str(error)
    return ""


def everything(dba: Connection, dsn: str, folder: Path) -> str:
    """All that a DBA and an application do, whatever fails; what they are told."""
    said = quietly(dba, *ADMINS)
    with psycopg.connect(make_conninfo(dsn, user="app"), autocommit=True) as app:
        said += quietly(app, *CALLS)
    report = ("report", "--out", str(folder / "report.html"))
    for command in (("doctor",), ("watch", "--json", "--count", "1"), ("status",), ("holds",), report):
        done = invoke(*command, dsn=dsn)
        said += done.out + done.err
    return said


def springs(dba: Connection) -> bool:
    row = dba.execute("SELECT is_called FROM mallory.sprung").fetchone()
    assert row is not None
    return bool(row[0])


def rights(dba: Connection) -> None:
    """He owns nothing that is ours, and may neither call it nor write what it is built on."""
    is_empty(
        dba,
        """SELECT p.oid::regprocedure::text FROM pg_proc AS p
           WHERE (p.pronamespace = to_regnamespace('budget') OR p.prosrc LIKE '%FROM budget.reserve(%')
               AND (
                   p.proowner = 'mallory'::regrole
                   OR has_function_privilege('mallory', p.oid, 'EXECUTE')
                   OR has_function_privilege('app_reader', p.oid, 'EXECUTE') -- his accomplice
               )
           UNION ALL
           SELECT n.nspname FROM pg_namespace AS n
           WHERE n.nspname = 'budget' AND has_schema_privilege('mallory', n.oid, 'USAGE')
           UNION ALL
           SELECT c.oid::regclass::text FROM pg_class AS c
           WHERE obj_description(c.oid, 'pg_class') = 'Created by pgbudget.'
               AND has_table_privilege('mallory', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')""",
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attacker_runs_no_code_and_gains_no_right(
    attacked: Connection, empty_dsn: str, tmp_path: Path, name: str, when: str
) -> None:
    """Planted before pgbudget comes, or tried each time that something was done since."""
    attack = ATTACKS[name]
    with psycopg.connect(make_conninfo(empty_dsn, user="mallory"), autocommit=True) as mallory:
        mallory.execute(TRAPS.encode())
        mallory.execute("DROP TABLE mallory.armed")  # what the DBA builds springs nothing yet
        attacked.execute(attack.dba.encode())
        mallory.execute("CREATE TABLE mallory.armed ()")
        said = ""
        for step in ("--plan", "", "again", "back"):
            if when == "before" or step in {"again", "back"}:
                quietly(mallory, attack.mallory)
            if step == "back":
                # Rights that the migration leaves him may not do more at the end.
                with suppress(psycopg.Error):
                    chain.rollback(empty_dsn, all=True)
            elif step == "--plan":
                done = invoke("migrate", "--plan", "--series", SERIES, dsn=empty_dsn)
                said += done.out + done.err
            else:
                with suppress(psycopg.Error):
                    chain.migrate(empty_dsn)
                rights(attacked)
                said += everything(attacked, empty_dsn, tmp_path)
        assert not springs(attacked)
        assert "the trap was sprung" not in said


def test_the_trap_springs(attacked: Connection, empty_dsn: str) -> None:
    """Each attack is one: who writes the table without pgbudget springs it."""
    silent = {
        "may refer to the settings",
        "owns the function of a trigger on what refers to the settings",
        "may create in public",
        "owns the function of a policy",
        "is bound by row security",
        "is given what is made",
    }
    with psycopg.connect(make_conninfo(empty_dsn, user="mallory"), autocommit=True) as mallory:
        mallory.execute(TRAPS.encode())
        for name, attack in ATTACKS.items():
            if name in silent:
                continue
            mallory.execute("ALTER SEQUENCE mallory.sprung RESTART")
            with attacked.transaction(force_rollback=True):
                attacked.execute(attack.dba.encode())
                if attack.mallory:
                    attacked.execute("SET LOCAL ROLE mallory")
                    attacked.execute(attack.mallory.encode())
                    attacked.execute("RESET ROLE")
                attacked.execute("INSERT INTO public.cost_tracking (service_name, cost) VALUES ('svc', 1)")
                attacked.execute("UPDATE public.cost_tracking SET cost = cost")
                attacked.execute("UPDATE public.system_config SET value = value")
                attacked.execute("UPDATE public.escalations SET status = status")
            assert springs(attacked), name


def test_a_policy_runs_with_no_right_of_an_owner_whom_row_security_binds(attacked: Connection, empty_dsn: str) -> None:
    """A superuser passes it by, and so does an owner unless it is forced; what migrates writes the limits."""
    with psycopg.connect(make_conninfo(empty_dsn, user="mallory"), autocommit=True) as mallory:
        mallory.execute(TRAPS.encode())
    for table in ("cost_tracking", "escalations", "system_config", "work_orders", "proposer_configs"):
        attacked.execute(f'ALTER TABLE public.{table} OWNER TO "App Owner"'.encode())
    attacked.execute(
        f"""{NO_LIMITS};
            GRANT CREATE ON DATABASE empty TO "App Owner"; GRANT CREATE ON SCHEMA public TO "App Owner";
            DROP FUNCTION public.check_and_reserve_budget(numeric, text, jsonb);
            ALTER TABLE public.system_config ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            CREATE POLICY trap ON public.system_config USING (mallory.check(key))""".encode()
    )
    owner = make_conninfo(empty_dsn, user="App Owner")
    assert [stop.note for stop in plan(owner, series=SERIES).stops if "policy trap" in stop.note]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="open to code of mallory"):
        chain.migrate(owner)
    assert not springs(attacked)
    with psycopg.connect(owner) as connection, connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO public.system_config (key, value) VALUES ('a', 'b')")
    assert springs(attacked)


@pytest.mark.parametrize("right", ["ALL", "REFERENCES (key)"])
def test_nobody_refers_to_a_setting_that_is_there_for_a_while(attacked: Connection, empty_dsn: str, right: str) -> None:
    """The end of a freeze deletes it, and what refers to it; before PostgreSQL 18 triggers ran as who deletes."""
    attacked.execute(f"GRANT {right} ON public.system_config TO mallory".encode())
    chain.migrate(empty_dsn)
    attacked.execute("SELECT budget.freeze('a while')")
    with psycopg.connect(make_conninfo(empty_dsn, user="mallory"), autocommit=True) as mallory:
        mallory.execute(TRAPS.encode())
        said = quietly(mallory, REFERENCE.format("mallory"), "INSERT INTO mallory.child VALUES ('budget_freeze')")
    attacked.execute("SELECT budget.unfreeze()")
    assert not springs(attacked)
    assert "permission denied for table system_config" in said


def test_an_event_trigger_runs_with_no_statement_of_ours(attacked: Connection, empty_dsn: str) -> None:
    """Only a superuser makes one; its function may be another's, and then any DDL of a DBA runs it."""
    attacked.execute(
        """CREATE SCHEMA mallory; CREATE SEQUENCE mallory.sprung;
           CREATE FUNCTION mallory.trap() RETURNS event_trigger LANGUAGE plpgsql AS $$
           BEGIN PERFORM nextval('mallory.sprung'); END $$;
           ALTER FUNCTION mallory.trap() OWNER TO mallory;
           CREATE EVENT TRIGGER trap ON ddl_command_start EXECUTE FUNCTION mallory.trap()"""
    )
    done = invoke("migrate", "--plan", "--series", SERIES, dsn=empty_dsn)
    assert (done.code, "the event trigger trap" in done.out) == (1, True)
    for run in (chain.migrate, chain.rollback):
        with pytest.raises(BudgetError, match="the event trigger trap"):
            run(empty_dsn)
    assert "the event trigger trap" in str(plan(empty_dsn, series=SERIES).stops)
    assert not springs(attacked)
    attacked.execute("ALTER EVENT TRIGGER trap DISABLE")
    assert chain.migrate(empty_dsn)
    assert not springs(attacked)
    attacked.execute("ALTER EVENT TRIGGER trap ENABLE")
    done = invoke("doctor", dsn=empty_dsn)
    assert (done.code, "event trigger trap" in done.out) == (1, True)
    assert not springs(attacked)
    attacked.execute("CREATE TABLE mallory.any ()")
    assert springs(attacked)
    attacked.execute("DROP EVENT TRIGGER trap")


def test_the_plan_stops_at_statistics_of_anothers_function(attacked: Connection, empty_dsn: str) -> None:
    """ANALYZE, which autovacuum runs, calls it with the rights of the table's owner."""
    with psycopg.connect(make_conninfo(empty_dsn, user="mallory"), autocommit=True) as mallory:
        mallory.execute(TRAPS.encode())
    attacked.execute("CREATE STATISTICS public.trap ON (mallory.check(service_name)) FROM public.cost_tracking")
    attacked.execute("ANALYZE public.cost_tracking")
    assert springs(attacked)
    stops = [stop.note for stop in plan(empty_dsn, series=SERIES).stops]
    assert any("statistics object" in note and "mallory" in note for note in stops), stops
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="open to code of mallory"):
        chain.migrate(empty_dsn)


def test_each_series_is_refused_over_functions_that_another_role_can_change(
    attacked: Connection, empty_dsn: str
) -> None:
    attacked.execute("DROP OWNED BY app_writer; GRANT CREATE ON SCHEMA public TO mallory")
    for statement in (
        "DROP FUNCTION public.check_and_reserve_budget(numeric, text, jsonb)",
        *(f"DROP TABLE public.{t} CASCADE" for t in ("cost_tracking", "escalations", "work_orders")),
        *(f"DROP TABLE public.{t} CASCADE" for t in ("system_config", "proposer_configs")),
    ):
        attacked.execute(statement.encode())
    own = make_conninfo(empty_dsn, user="mallory")
    chain_of = migrations.names("core")
    assert migrations.migrate(own) == chain_of
    yoyos = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock")  # which stop a run before
    for table in yoyos:
        attacked.execute(f"ALTER TABLE public.{table} OWNER TO postgres".encode())
    with pytest.raises(BudgetError, match="pgbudget belongs to 'mallory' here"):
        migrations.migrate(empty_dsn, series="budgets")
    with pytest.raises(BudgetError, match="pgbudget belongs to 'mallory' here"):
        migrations.rollback(empty_dsn, all=True)
    done = invoke("migrate", "--plan", "--series", "budgets", dsn=empty_dsn)
    assert (done.code, "pgbudget belongs to 'mallory' here" in done.out) == (1, True)
    file = migrations.series_dir("budgets") / "migrations" / "0001.pgbudget_budgets_tables.sql"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="belongs to another role"):
        attacked.execute(file.read_bytes())
    for table in yoyos:
        attacked.execute(f"ALTER TABLE public.{table} OWNER TO mallory".encode())
    assert migrations.rollback(own, all=True) == chain_of[::-1]
