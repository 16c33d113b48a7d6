"""`pgbudget doctor`: nothing to say of a healthy database, and of each fault what it is and how to mend it.

Each mend is followed, and ends the fault while a caller goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgbudget import Budget, doctor, migrations
from pgbudget.embedded import Server
from tests import chain
from tests.cli.command import invoke
from tests.remedies import Connection, Fault, caller, examined, follow, mended, pasted, troubles
from tests.rows import spend
from tests.series import SERIES, by_series

LEDGER = "public.cost_tracking"
TABLES = ("cost_tracking", "escalations", "system_config", "proposer_configs", "work_orders")
ROLES = ("My App", "anon", "Doctor's Owner", "Reader")


@pytest.fixture
def roles(db: Connection, app_role: str) -> Any:
    """Roles that others may have in their cluster."""
    for role in ROLES:
        db.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
    db.execute('GRANT budget_reader TO "Reader"')
    yield
    for role in ROLES:
        db.execute(f'REASSIGN OWNED BY "{role}" TO postgres; DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())


def test_a_healthy_database_gives_nothing_to_say(dsn: str, db: Connection) -> None:
    spend(db, 3)
    Budget(db).reserve(1, "svc")
    assert troubles(dsn) == []
    done = invoke("doctor", dsn=dsn)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("all is well")
    assert {check["verdict"] for check in examined(dsn).values()} == {"ok"}


FAULTS = [
    Fault(
        "who may call",
        "GRANT EXECUTE ON FUNCTION budget.unfreeze() TO PUBLIC",
        "wrong",
        "PUBLIC may call budget.unfreeze",
    ),
    Fault("who may call", "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA budget TO anon", "wrong", "anon may call"),
    Fault(
        "who may call",
        "GRANT EXECUTE ON FUNCTION budget._now() TO budget_caller",
        "wrong",
        "budget_caller may call budget._now",
    ),
    Fault(
        "who may call",
        'GRANT EXECUTE ON FUNCTION budget.reserve(numeric, text, jsonb, uuid, interval) TO "My App"; '
        'GRANT USAGE ON SCHEMA budget TO "My App"',
        "note",
        '"My App" may call budget.reserve',
        caller="My App",
        calls="SELECT budget.reserve(0.001, 'svc')",
    ),
    Fault(
        "who else may write the tables",
        f'GRANT INSERT, DELETE ON {LEDGER} TO "My App"',
        "note",
        f'"My App" may DELETE, INSERT {LEDGER}',
    ),
    Fault(
        "who else may write the tables",
        "GRANT UPDATE ON public.system_config TO PUBLIC",
        "wrong",
        "PUBLIC may UPDATE public.system_config",
    ),
    Fault(
        "functions' settings",
        "ALTER FUNCTION budget.expire(integer) RESET search_path",
        "wrong",
        "budget.expire(integer) does not pin its search_path",
    ),
    Fault(
        "functions' settings",
        "ALTER FUNCTION budget.expire(integer) SECURITY INVOKER",
        "wrong",
        "budget.expire(integer) runs with its caller's rights",
    ),
    Fault(
        "owner",
        """ALTER FUNCTION budget.version() OWNER TO "Doctor's Owner" """,
        "wrong",
        """FUNCTION budget.version() belongs to "Doctor's Owner", and the ledger to postgres""",
    ),
    Fault(
        "tables",
        f"""ALTER TABLE {LEDGER} DROP CONSTRAINT budget_cost_in_range;
            ALTER TABLE {LEDGER} ADD CONSTRAINT budget_cost_in_range CHECK (cost >= 0 AND cost < 1e15) NOT VALID""",
        "note",
        "the constraint budget_cost_in_range is not validated",
    ),
    Fault(
        "tables",
        f"ALTER TABLE {LEDGER} DROP CONSTRAINT budget_cost_in_range",
        "wrong",
        "the constraint budget_cost_in_range is missing",
    ),
    Fault(
        "tables",
        f"ALTER TABLE {LEDGER} DROP CONSTRAINT budget_expiry_of_hold",
        "wrong",
        "the constraint budget_expiry_of_hold is missing",
    ),
    Fault("unlogged tables", f"ALTER TABLE {LEDGER} SET UNLOGGED", "wrong", "cost_tracking is UNLOGGED"),
    Fault(
        "tables",
        "DROP TABLE public.proposer_configs",
        "wrong",
        "public.proposer_configs is missing",
    ),
    Fault(
        "triggers",
        f"ALTER TABLE {LEDGER} DISABLE TRIGGER budget_guard_hold",
        "wrong",
        "the trigger budget_guard_hold is switched off",
    ),
    Fault(
        "triggers",
        f"DROP TRIGGER budget_adopt_hold ON {LEDGER}",
        "wrong",
        "the trigger budget_adopt_hold is missing",
    ),
    Fault(
        "limits",
        "UPDATE public.system_config SET value = '{}' WHERE key = 'budget_limits'",
        "wrong",
        "every reservation is refused: emergency_kill is missing",
        by_hand="pgbudget limits set emergency_kill=8",
    ),
    Fault(
        "limits",
        """SELECT budget.set_limits('{"emergancy_kill": 8}')""",
        "note",
        "nothing enforces: emergancy_kill",
        by_hand="""UPDATE public.system_config SET value = '{"emergency_kill": 8}' WHERE key = 'budget_limits'""",
    ),
    Fault(
        "freeze",
        "SELECT budget.freeze('ask ada')",
        "wrong",
        "frozen, every reservation is refused: ask ada",
    ),
    Fault(
        "invariants",
        f"""SET session_replication_role = replica;
            INSERT INTO {LEDGER} (service_name, cost, metadata)
            VALUES ('svc', 1, '{{"type": "cancelled", "reserved_at": "now", "estimated_cost": "1"}}');
            RESET session_replication_role""",
        "wrong",
        "a cancelled hold costs nothing (1 times, as in ",
        by_hand="DELETE FROM public.cost_tracking WHERE metadata ->> 'type' = 'cancelled'"
        + by_series(core="", budgets="; SELECT * FROM budget.reconcile()"),
    ),
    Fault(
        "lapsed holds",
        "SELECT budget.reserve(1, 'svc', p_ttl => '1 microsecond')",
        "note",
        "1 holds have lapsed and are not marked",
    ),
    Fault(
        "index of the day",
        "DROP INDEX public.budget_day_idx",
        "wrong",
        "the index budget_day_idx is missing or invalid",
    ),
    Fault(
        "index of the day",
        "DROP INDEX public.budget_day_idx; CREATE INDEX budget_day_idx ON public.cost_tracking (service_name)",
        "wrong",
        "the day's sum cannot use the index budget_day_idx",
    ),
    Fault(
        "autovacuum",
        f"ALTER TABLE {LEDGER} SET (autovacuum_enabled = false)",
        "note",
        "autovacuum is switched off for public.cost_tracking",
    ),
    Fault(
        "functions' bodies",
        "CREATE OR REPLACE FUNCTION budget.version() RETURNS text LANGUAGE sql IMMUTABLE SECURITY DEFINER "
        "SET search_path = pg_catalog, pg_temp AS $$ SELECT '1.0' $$",
        "wrong",
        "not as this version has them: budget.version",
    ),
    Fault(
        "functions' bodies",
        "DROP FUNCTION budget.detect_hard_stop(text)",
        "wrong",
        "missing: budget.detect_hard_stop",
    ),
    Fault(
        "functions' bodies",
        "CREATE FUNCTION budget._extra() RETURNS int LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT 1'; "
        "REVOKE ALL ON FUNCTION budget._extra() FROM PUBLIC",
        "note",
        "none of this version's: budget._extra",
        by_hand="DROP FUNCTION budget._extra()",
    ),
    Fault(
        "invariants",
        "DROP VIEW budget.invariants",
        "wrong",
        'it cannot be asked: relation "budget.invariants" does not exist',
    ),
    Fault(
        "migrations of core",
        "DELETE FROM _yoyo_migration WHERE migration_id LIKE '0007%'",
        "wrong",
        "not applied: 0007.pgbudget_open_holds",
    ),
    Fault(
        f"migrations of {SERIES}",
        f"DELETE FROM _yoyo_migration WHERE migration_id = ANY ('{{{','.join(migrations.names(SERIES))}}}')",
        "note",
        "applied by other means, and not marked",
    ),
    Fault(
        "rights of the roles",
        "DROP OWNED BY budget_caller",
        "wrong",
        "budget_caller holds none of its rights in this database",
    ),
    Fault(
        "rights of the roles",
        "REVOKE SELECT ON budget.status, budget.open_holds FROM budget_reader",
        "note",
        "budget_reader lacks SELECT on budget.open_holds, SELECT on budget.status",
        caller="Reader",
        calls="SELECT * FROM budget.status",
    ),
    Fault(
        "rights of the roles",
        "REVOKE EXECUTE ON FUNCTION budget.reserve_advisory(numeric, text, jsonb, uuid, interval) FROM budget_caller",
        "note",
        "budget_caller lacks EXECUTE on budget.reserve_advisory(",
    ),
    Fault(
        "owner",
        f"""{"; ".join(f"ALTER TABLE public.{table} OWNER TO anon" for table in TABLES)};
            SET pgbudget.accept_owner = on; SELECT budget._hand_over(); RESET pgbudget.accept_owner;
            ALTER TABLE public.escalations OWNER TO postgres; REVOKE ALL ON public.escalations FROM anon""",
        "wrong",
        "anon, with whose rights the functions run, may not read and write public.escalations",
    ),
    Fault(
        "owner",
        'ALTER TABLE public.escalations OWNER TO "My App"; ALTER TABLE public.work_orders OWNER TO "My App"',
        "note",
        'public.escalations, public.work_orders belongs to "My App", whose triggers run with the rights of postgres',
        caller="My App",
        calls="DELETE FROM public.escalations WHERE reason = 'none'",
    ),
    Fault(
        "code of others",
        f"""CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
            ALTER FUNCTION public.stamp() OWNER TO "My App";
            CREATE TRIGGER stamp AFTER INSERT ON {LEDGER} FOR EACH ROW EXECUTE FUNCTION public.stamp()""",
        "wrong",
        'cost_tracking is open to code of "My App"',
    ),
    Fault(
        "who else may make triggers",
        f'GRANT ALL ON {LEDGER} TO "My App"',
        "wrong",
        '"My App" may put triggers on public.cost_tracking',
        caller="My App",
        calls=f"INSERT INTO {LEDGER} (service_name, cost) VALUES ('svc', 0.001)",
    ),
    Fault(
        "roles",
        "ALTER ROLE budget_admin CREATEDB CREATEROLE REPLICATION BYPASSRLS",
        "wrong",
        "the role budget_admin has attributes that its members could use: createrole createdb bypassrls replication",
    ),
    Fault(
        "roles",
        "ALTER ROLE budget_reader LOGIN PASSWORD 'known'",
        "wrong",
        "the role budget_reader can log in",
        caller="Reader",
        calls="SELECT * FROM budget.status",
    ),
    Fault(
        "columns",
        f"ALTER TABLE {LEDGER} ALTER COLUMN cost DROP NOT NULL",
        "wrong",
        "public.cost_tracking.cost is without NOT NULL",
    ),
    Fault(
        "columns",
        "ALTER TABLE public.work_orders DROP COLUMN updated_at",
        "wrong",
        "public.work_orders.updated_at is missing",
    ),
    Fault(
        "columns",
        "ALTER TABLE public.proposer_configs DROP CONSTRAINT proposer_configs_name_key",
        "wrong",
        "public.proposer_configs.name is without a unique key of its own",
    ),
    Fault(
        "columns",
        f"ALTER TABLE {LEDGER} ADD COLUMN tenant text; UPDATE {LEDGER} SET tenant = 'a'; "
        f"ALTER TABLE {LEDGER} ALTER COLUMN tenant SET NOT NULL",
        "wrong",
        "public.cost_tracking.tenant is NOT NULL, but pgbudget has no value for it",
        by_hand=f"ALTER TABLE {LEDGER} ALTER COLUMN tenant DROP NOT NULL",
    ),
    Fault(
        "code of the application on the ledger",
        f"CREATE RULE swallow AS ON INSERT TO {LEDGER} DO INSTEAD NOTHING",
        "wrong",
        "rules on cost_tracking, with which every call ends with 0A000: swallow",
    ),
    Fault(
        "code of the application on the ledger",
        f"CREATE TABLE public.child () INHERITS ({LEDGER})",
        "wrong",
        "cost_tracking has child tables",
        by_hand=f"ALTER TABLE public.child NO INHERIT {LEDGER}",
    ),
    Fault(
        "settings as they were last set",
        """SELECT budget.set_limits('{"emergency_kill": 70, "exempt_services": ["it''s"]}');
           UPDATE public.system_config SET value = '{"emergency_kill": 100}' WHERE key = 'budget_limits'""",
        "note",
        "the limits are not those that were last set with budget.set_limits",
    ),
    Fault(
        "yoyo's tables",
        'GRANT INSERT ON public._yoyo_migration TO "My App"',
        "wrong",
        """"My App" has rights on yoyo's table public._yoyo_migration: INSERT""",
    ),
    Fault(
        "yoyo's tables",
        'GRANT SELECT ON public._yoyo_migration TO "My App"',
        "note",
        """"My App" has rights on yoyo's table public._yoyo_migration: SELECT""",
    ),
    Fault(
        "yoyo's tables",
        "ALTER TABLE public._yoyo_log OWNER TO anon",
        "note",
        "yoyo's table public._yoyo_log belongs to anon",
    ),
    Fault(
        "yoyo's tables",
        """CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
           ALTER FUNCTION public.stamp() OWNER TO anon;
           CREATE TRIGGER stamp AFTER INSERT ON public.yoyo_lock FOR EACH ROW EXECUTE FUNCTION public.stamp()""",
        "wrong",
        "the trigger stamp on yoyo's table public.yoyo_lock calls code of anon",
    ),
    Fault(
        "version",
        "CREATE OR REPLACE FUNCTION budget.version() RETURNS text LANGUAGE sql AS $$ SELECT '0.9' $$",
        "wrong",
        "the database has 0.9, behind this client's",
    ),
]


@pytest.mark.proof
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.says}")
def test_a_fault_is_found_and_its_mend_ends_it(
    server: Server, dsn: str, db: Connection, roles: None, fault: Fault
) -> None:
    mended(server, dsn, db, fault)


@pytest.mark.proof
@pytest.mark.parametrize(
    "offence",
    [
        "DROP FUNCTION budget.detect_hard_stop(text)",
        "DROP TRIGGER budget_adopt_hold ON public.cost_tracking",
        "DELETE FROM _yoyo_migration",
    ],
)
def test_a_mend_that_is_a_command_ends_the_fault(server: Server, dsn: str, db: Connection, offence: str) -> None:
    """In a database with a series beside core, too, whose functions those of core must not replace."""
    db.execute(offence.encode())
    found = troubles(dsn)
    assert found
    for *_, mend in found:
        follow(server, dsn, pasted(mend or "") or "")
    assert troubles(dsn) == []


@pytest.mark.proof
def test_a_role_of_ours_that_is_missing_is_made_again(roles_of_their_own: Server) -> None:
    """Roles belong to the cluster, so that this wants one of its own."""
    server, dsn = roles_of_their_own, roles_of_their_own.dsn()
    with psycopg.connect(dsn, autocommit=True) as db:
        chain.load(dsn)
        db.execute("CREATE ROLE app LOGIN; GRANT budget_caller TO app")
        mended(
            server,
            dsn,
            db,
            Fault(
                "who may call",
                "DROP OWNED BY budget_reader; DROP ROLE budget_reader",
                "wrong",
                "the role budget_reader is missing",
            ),
        )
        assert troubles(dsn) == []


@pytest.fixture
def roles_of_their_own() -> Iterator[Server]:
    with Server(settings={"fsync": "off"}) as server:
        yield server


@pytest.mark.proof
def test_a_ledger_that_was_loaded_and_never_analyzed(server: Server, dsn: str, db: Connection, app_role: str) -> None:
    """Where disks are slow, the index is used only once it is known that the rows are stored in its order."""
    slow = make_conninfo(dsn, options="-crandom_page_cost=50")
    offence = f"""ALTER TABLE {LEDGER} SET (autovacuum_enabled = false);
                  INSERT INTO {LEDGER} (service_name, cost, created_at)
                  SELECT 'svc', 0.001, now() - n * interval '1 minute'
                  FROM generate_series({doctor.BIG_LEDGER_ROWS}, 1, -1) AS n"""
    mended(server, slow, db, Fault("index of the day", offence, "note", "the day's sum reads all of about "))


@pytest.mark.proof
def test_a_right_to_make_triggers_that_another_role_gave(
    server: Server, dsn: str, db: Connection, app_role: str, roles: None
) -> None:
    db.execute(f'GRANT TRIGGER ON {LEDGER} TO "My App" WITH GRANT OPTION')
    db.execute(f'SET ROLE "My App"; GRANT TRIGGER ON {LEDGER} TO anon; RESET ROLE'.encode())
    found = [mend or "" for check, _, _, mend in troubles(dsn) if check == "who else may make triggers"]
    assert len(found) == 2
    with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
        for mend in found:
            follow(server, dsn, pasted(mend) or "")
    assert examined(dsn)["who else may make triggers"]["verdict"] == "ok"


def test_a_newer_database_is_no_fault(dsn: str, db: Connection) -> None:
    db.execute("CREATE OR REPLACE FUNCTION budget.version() RETURNS text LANGUAGE sql AS $$ SELECT '9.1' $$")
    [(verdict, found, mend)] = [trouble[1:] for trouble in troubles(dsn) if trouble[0] == "version"]
    assert (verdict, pasted(mend or "")) == ("note", "pip install --upgrade pgbudget")
    assert found.startswith("the database has 9.1, ahead of this client's")


def test_what_is_wrong_comes_last_and_is_the_exit_code(dsn: str, db: Connection) -> None:
    Budget(db).freeze("ask ada")
    db.execute("CREATE FUNCTION budget._extra() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    done = invoke("doctor", dsn=dsn)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[lines.index("x freeze") :][:3] == [
        "x freeze",
        "  x frozen, every reservation is refused: ask ada",
        "    pgbudget unfreeze",
    ]
    assert lines[-1].startswith("wrong: who may call, functions' settings, freeze; ")
    assert json.loads(invoke("doctor", "--json", dsn=dsn).out)["healthy"] is False


def test_a_ledger_that_was_given_away(server: Server, dsn: str, db: Connection, app_role: str, roles: None) -> None:
    """Until all is its owner's a superuser is told to give it to him, and then to ask as he, or to trust him."""
    db.execute(f"""ALTER TABLE {LEDGER} OWNER TO "Doctor's Owner" """.encode())
    [mend] = [mend for check, verdict, _, mend in troubles(dsn) if (check, verdict) == ("owner", "wrong")]
    assert mend
    with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
        follow(server, dsn, mend)
    [(check, _, found, mend)] = [trouble for trouble in troubles(dsn) if trouble[1] == "wrong"]
    assert check == "whose code runs"
    assert found
    assert found.startswith("""pgbudget belongs to "Doctor's Owner" here, whose code would run with your rights""")
    assert mend is not None
    assert pasted(mend) is None
    assert mend.startswith("""Connect as "Doctor's Owner", or """)
    assert examined(dsn)["limits"]["verdict"] == "unknown"
    for asked in (troubles(make_conninfo(dsn, user="Doctor's Owner")), troubles(dsn, "--accept-owner")):
        assert all(verdict == "note" for _, verdict, *_ in asked)
    assert examined(dsn, "--accept-owner")["limits"]["verdict"] == "ok"


def test_what_is_to_be_pasted_stays_in_one_piece(dsn: str, db: Connection, roles: None) -> None:
    db.execute('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA budget TO "My App"')
    [mend] = [mend for check, *_, mend in troubles(dsn) if check == "who may call"]
    assert mend
    assert len(mend) > 80
    assert f"    {mend}" in invoke("doctor", dsn=dsn, width=40).out.splitlines()


def test_forced_row_security_is_why_nothing_works(
    server: Server, dsn: str, db: Connection, app_role: str, roles: None
) -> None:
    """As on a platform whose owner of the tables is no superuser."""
    owner = '''"Doctor's Owner"'''
    for table in TABLES:
        db.execute(f"ALTER TABLE public.{table} OWNER TO {owner}".encode())
    db.execute("SET pgbudget.accept_owner = on; SELECT budget._hand_over()")
    assert [check for check, verdict, *_ in troubles(dsn, "--accept-owner") if verdict == "wrong"] == []
    db.execute(f"ALTER TABLE {LEDGER} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY".encode())
    for owned_by, remedy in (
        (owner, f"SET lock_timeout = '2s'; ALTER TABLE {LEDGER} NO FORCE ROW LEVEL SECURITY"),
        ("postgres", f"ALTER ROLE {owner} BYPASSRLS"),
    ):
        db.execute(f"ALTER TABLE {LEDGER} OWNER TO {owned_by}; GRANT ALL ON {LEDGER} TO {owner}".encode())
        [(says, mend)] = [trouble[2:] for trouble in troubles(dsn) if trouble[:2] == ("tables", "wrong")]
        assert says.startswith(f"row security on {LEDGER} hides rows from {owner}")
        assert mend == remedy
        with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
            follow(server, dsn, mend)
        assert examined(dsn)["tables"]["verdict"] == "ok"


def test_a_database_without_pgbudget_is_told_to_migrate(empty_dsn: str) -> None:
    done = invoke("doctor", dsn=empty_dsn)
    assert done.code == 1
    assert [line.strip() for line in done.out.splitlines()] == [
        "x version",
        "x pgbudget is not installed in this database",
        "pgbudget migrate",
        "",
        "wrong: version",
    ]


def test_a_schema_that_somebody_dropped_comes_again(server: Server, dsn: str, db: Connection, app_role: str) -> None:
    """Its migrations are marked as applied all the same, so that migrate would have nothing to do."""
    db.execute("DROP SCHEMA budget CASCADE")
    while found := [mend or "" for _, verdict, _, mend in troubles(dsn) if verdict == "wrong"]:
        remedy = pasted(found[0]) or ""
        assert remedy.startswith("pgbudget sql")
        follow(server, dsn, remedy)
    with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
        pass


def test_a_database_that_is_not_there_is_an_error() -> None:
    assert invoke("doctor", dsn="host=/nowhere").code == 3


def test_sessions_that_begin_repeatable_read_are_refused_everything(dsn: str) -> None:
    odd = make_conninfo(dsn, options=r"-cdefault_transaction_isolation=repeatable\ read")
    done = invoke("doctor", dsn=odd)
    assert done.code == 1
    assert "begins as repeatable read" in done.out.replace("\n   ", "")


@pytest.mark.parametrize(
    ("name", "value"), [("default_transaction_isolation", "repeatable read"), ("default_transaction_read_only", "on")]
)
@pytest.mark.parametrize("whose", ["DATABASE {}", "ROLE app", "ROLE app IN DATABASE {}"])
def test_settings_with_which_callers_are_refused(
    *, server: Server, dsn: str, db: Connection, app_role: str, whose: str, name: str, value: str
) -> None:
    """Of a database, or of a role that calls, whoever asks; one that never calls may have what it likes."""
    db.execute("ALTER ROLE postgres SET default_transaction_read_only = off")
    whose = whose.format(sql.Identifier(db.info.dbname).as_string(db))
    db.execute(f"ALTER {whose} SET {name} = '{value}'".encode())
    found = {
        finding["found"]: finding["mend"]
        for check in json.loads(invoke("doctor", "--json", dsn=dsn).out)["checks"]
        for finding in check["findings"]
        if check["name"] == "server" and finding["verdict"] == "wrong"
    }
    [(says, mend)] = found.items()
    assert says.startswith(f"transactions of {whose.replace(chr(34), '')} begin with {name} = {value}")
    with psycopg.connect(dsn, user=app_role, autocommit=True) as app, pytest.raises(psycopg.Error):
        app.execute("SELECT budget.reserve(1, 'svc')")
    follow(server, dsn, pasted(mend) or "")
    with caller(dsn, app_role, "SELECT budget.reserve(0.001, 'svc')"):
        db.execute("ALTER ROLE postgres RESET default_transaction_read_only")


def test_a_role_that_may_not_look_is_told_so(dsn: str, app_role: str) -> None:
    done = invoke("doctor", dsn=make_conninfo(dsn, user=app_role))
    assert done.code == 0
    assert "? limits\n    not looked at: permission denied for view status\n" in done.out
    assert re.search(r"; \d+ not looked at$", done.out.strip())


def test_who_may_call_is_listed(dsn: str, app_role: str) -> None:
    found = [finding["found"] for finding in examined(dsn)["who may call"]["findings"]]
    assert f"budget_caller: {app_role}" in "\n".join(found)


@pytest.mark.parametrize(("offset", "says"), [(-3600, "behind"), (3600, "ahead of"), (0, None)])
def test_clocks_that_differ_are_told(dsn: str, monkeypatch: pytest.MonkeyPatch, offset: int, says: str | None) -> None:
    class Clock(doctor.datetime):  # type: ignore[name-defined,misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) - timedelta(seconds=offset)

    monkeypatch.setattr(doctor, "datetime", Clock)
    told = [trouble[2] for trouble in troubles(dsn) if trouble[0] == "clock"]
    assert (
        (told == [])
        if says is None
        else re.fullmatch(rf"the server's clock is 3[56]\d\d\.\d s {says} this machine's", told[0])
    )


def test_a_big_ledger_needs_its_index_in_use(dsn: str, db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    spend(db, 1)
    db.execute("ANALYZE public.cost_tracking")
    [finding] = examined(dsn)["index of the day"]["findings"]
    assert finding["found"].startswith("usable; the ledger is so small")
    monkeypatch.setattr(doctor, "BIG_LEDGER_ROWS", 1)
    assert (
        "index of the day",
        "note",
        "the day's sum reads all of about 1 rows",
        "ANALYZE public.cost_tracking",
    ) in troubles(dsn)
    monkeypatch.undo()
    db.execute(
        """INSERT INTO public.cost_tracking (service_name, cost, created_at)
           SELECT 'svc', 0.01, now() - n * interval '1 minute' FROM generate_series(1, 30000) AS n"""
    )
    db.execute("ANALYZE public.cost_tracking")
    [finding] = examined(dsn)["index of the day"]["findings"]
    assert finding["found"] == "in use, over about 30001 rows"


def test_a_series_brings_its_own_questions(
    dsn: str, app_role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for series in migrations.known_series():
        (tmp_path / series).symlink_to(migrations.series_dir(series))
    chain = tmp_path / "more" / "migrations"
    chain.mkdir(parents=True)
    (chain / "0101.more.sql").write_text("CREATE TABLE public.more (id int);")
    (chain / "0102.more.sql").write_text("-- depends: 0101.more\nALTER TABLE public.more ADD COLUMN n int;")
    (tmp_path / "more" / "doctor.sql").write_text(
        "-- check: more\nSELECT 'note', count(*)::text, 'x' FROM public.more;\n"
    )
    monkeypatch.setattr(migrations, "db_dir", lambda: tmp_path)
    assert "more" not in examined(dsn)
    migrations.migrate(dsn, series="more")
    assert troubles(dsn) == [("more", "note", "0", "x")]
    assert "more" not in examined(make_conninfo(dsn, user=app_role)), "it may not know what is applied"
