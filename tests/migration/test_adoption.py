"""What is there is taken over in place: widened without a rewrite, completed, and its callers kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgbudget.embedded import Server
from tests import chain, pgtap
from tests.migration.support import APPLICATION, Connection, found, one, psql, rows, session

RESERVE = "public.check_and_reserve_budget(numeric, text, jsonb)"
HANDOVERS = "public.check_and_reserve_budget_before_pgbudget(numeric, text, jsonb)"


@pytest.fixture
def db(application_dsn: str) -> Iterator[Connection]:
    """A connection to the application's database, not migrated yet."""
    with session(application_dsn) as connection:
        yield connection


def test_the_ledger_is_widened_without_a_rewrite(application_dsn: str, db: Connection) -> None:
    query = "SELECT pg_relation_filenode('public.cost_tracking')"
    file = one(db, query)
    before = rows(application_dsn)["work_orders"]
    chain.migrate(application_dsn)
    assert one(db, query) == file
    pgtap.col_type_is(db, "public.cost_tracking", "cost", "numeric")
    pgtap.col_not_null(db, "public.cost_tracking", "cost")
    assert rows(application_dsn)["work_orders"] == before


def test_an_estimate_below_the_old_scale_counts(application_dsn: str, db: Connection) -> None:
    db.execute("INSERT INTO public.cost_tracking (cost, service_name) VALUES (0.00004, 'before')")
    chain.migrate(application_dsn)
    db.execute("INSERT INTO public.cost_tracking (cost, service_name) VALUES (0.00004, 'direct')")
    db.execute("SELECT public.check_and_reserve_budget(0.00004, 'reserved')")
    costs = dict(db.execute("SELECT service_name, cost FROM public.cost_tracking WHERE cost < 0.001").fetchall())
    assert (costs["before"], costs["direct"], costs["reserved"]) == (0, Decimal("0.00004"), Decimal("0.00004"))


def test_defaults_that_direct_inserts_need_are_kept(application_dsn: str, db: Connection) -> None:
    query = """SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef
               JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
               WHERE adrelid = 'public.cost_tracking'::regclass ORDER BY 1"""
    defaults = db.execute(query).fetchall()
    assert len(defaults) == 4
    chain.migrate(application_dsn)
    assert db.execute(query).fetchall() == defaults


def test_the_reason_is_added_when_absent(application_dsn: str, db: Connection) -> None:
    chain.migrate(application_dsn)
    pgtap.col_type_is(db, "public.escalations", "reason", "text")
    assert one(db, "SELECT count(*) FROM public.escalations WHERE reason IS NULL") == 1
    chain.rollback(application_dsn, all=True)
    pgtap.hasnt_column(db, "public.escalations", "reason")


@pytest.mark.parametrize("comment", [None, "Why we ask."])
def test_the_reason_is_kept_when_present(
    server: Server, application_dsn: str, db: Connection, comment: str | None
) -> None:
    db.execute("ALTER TABLE public.escalations ADD COLUMN reason text DEFAULT 'unknown'")
    db.execute(sql.SQL("COMMENT ON COLUMN public.escalations.reason IS {}").format(comment))
    as_found = found(server, application_dsn)
    chain.migrate(application_dsn)
    pgtap.results_eq(db, "SELECT reason FROM public.escalations", [("unknown",)])
    chain.rollback(application_dsn, all=True)
    assert found(server, application_dsn) == as_found


@pytest.mark.parametrize(
    "missing", ["cost_tracking", "escalations", "work_orders", "system_config", "proposer_configs"]
)
def test_a_table_that_is_missing_is_made_and_goes_again(
    server: Server, application_dsn: str, db: Connection, missing: str
) -> None:
    db.execute(f"DROP TABLE public.{missing} CASCADE".encode())
    as_found = found(server, application_dsn)
    chain.migrate(application_dsn)
    pgtap.has_table(db, f"public.{missing}")
    assert one(db, "SELECT can_proceed FROM public.check_and_reserve_budget(1, 'a')") is True
    db.execute("DELETE FROM public.cost_tracking WHERE service_name = 'a'")
    chain.rollback(application_dsn, all=True)
    assert found(server, application_dsn) == as_found


def test_a_new_table_of_escalations_refers_to_the_work_orders_that_are_there(
    application_dsn: str, db: Connection
) -> None:
    db.execute("DROP TABLE public.escalations")
    chain.migrate(application_dsn)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        db.execute(
            "INSERT INTO escalations (work_order_id, trigger_type, context) VALUES (gen_random_uuid(), 'a', '{}')"
        )


def test_tables_that_are_made_are_nobody_elses(application_dsn: str, db: Connection) -> None:
    """Default privileges, such as a hosted platform's, do not open them."""
    db.execute("DROP TABLE public.cost_tracking")
    db.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, app_writer")
    try:
        chain.migrate(application_dsn)
        for role in ("anon", "app_writer"):
            pgtap.table_privs_are(db, "public.cost_tracking", role, [])
            pgtap.table_privs_are(db, "budget.status", role, [])
    finally:
        db.execute("ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM anon, app_writer")


def test_the_owner_of_the_tables_need_not_be_a_superuser(
    server: Server, application_roles: None, empty_dsn: str
) -> None:
    with session(empty_dsn) as db:
        db.execute("ALTER DATABASE empty OWNER TO app_dba")
    dsn = make_conninfo(empty_dsn, user="app_dba")
    psql(server, dsn, APPLICATION)
    as_found = found(server, empty_dsn)
    chain.migrate(dsn)
    with session(empty_dsn) as db:
        pgtap.function_owner_is(db, RESERVE, "app_dba")
        db.execute("SET ROLE app_writer")
        assert one(db, "SELECT can_proceed FROM check_and_reserve_budget(1, 'a')") is True
        db.execute("RESET ROLE")
        db.execute("DELETE FROM cost_tracking WHERE service_name = 'a'")
    chain.rollback(dsn, all=True)
    assert found(server, empty_dsn) == as_found


# ------------------------------------------------------------------------------------------ the handover's function


def test_the_handovers_function_gives_its_name_to_ours(application_dsn: str, db: Connection) -> None:
    chain.migrate(application_dsn)
    pgtap.is_definer(db, RESERVE)
    pgtap.isnt_definer(db, HANDOVERS)
    assert one(
        db,
        f"SELECT prosrc LIKE '%LOCK TABLE cost_tracking IN%' FROM pg_proc WHERE oid = '{HANDOVERS}'::regprocedure",
    )


def test_callers_that_may_write_the_ledger_keep_their_function(application_dsn: str, db: Connection) -> None:
    chain.migrate(application_dsn)
    for role, kept in {
        "app_writer": ["EXECUTE"],  # could call it and may insert
        "app_reader": [],  # could call it, but not use it
        "anon": [],  # never
        "App Owner": [],
    }.items():
        pgtap.function_privs_are(db, RESERVE, role, kept)
        pgtap.function_privs_are(db, HANDOVERS, role, [])
    db.execute("SET ROLE app_writer")
    assert (
        one(db, "SELECT can_proceed FROM check_and_reserve_budget(p_estimated_cost => 1, p_service_name => 'a')")
        is True
    )
    db.execute("SET ROLE anon")
    pgtap.throws_ok(db, "SELECT * FROM check_and_reserve_budget(1, 'a')", None, "42501")


def test_callers_by_way_of_public_and_of_a_role_are_kept(application_dsn: str, db: Connection) -> None:
    """What decides is what a role can do, by whatever way; `anon` is left out, whatever it could do."""
    db.execute(f"GRANT EXECUTE ON FUNCTION {RESERVE} TO PUBLIC".encode())
    db.execute('GRANT app_writer TO "App Owner"')
    chain.migrate(application_dsn)
    for role, kept in {"app_writer": ["EXECUTE"], "App Owner": ["EXECUTE"], "app_reader": [], "anon": []}.items():
        pgtap.function_privs_are(db, RESERVE, role, kept)
        pgtap.function_privs_are(db, HANDOVERS, role, [])


@pytest.mark.parametrize(
    "grants",
    [
        f"GRANT EXECUTE ON FUNCTION {RESERVE} TO PUBLIC",
        f'REVOKE ALL ON FUNCTION {RESERVE} FROM app_writer, app_reader, anon, "App Owner"',
        f"COMMENT ON FUNCTION {RESERVE} IS NULL",
        f"ALTER FUNCTION {RESERVE} OWNER TO app_writer",
        f"DROP FUNCTION {RESERVE}",
    ],
)
def test_rollback_restores_name_rights_owner_and_comment(
    server: Server, application_dsn: str, db: Connection, grants: str
) -> None:
    db.execute(grants.encode())
    as_found = found(server, application_dsn)
    chain.migrate(application_dsn, accept_owner=True)
    chain.rollback(application_dsn, all=True)
    assert found(server, application_dsn) == as_found


def test_rollback_does_without_a_role_that_was_dropped(application_dsn: str, db: Connection) -> None:
    db.execute("CREATE ROLE passing")
    try:
        db.execute(f"GRANT EXECUTE ON FUNCTION {RESERVE} TO passing".encode())
        chain.migrate(application_dsn)
    finally:
        db.execute("DROP ROLE passing")
    chain.rollback(application_dsn, all=True)
    pgtap.function_privs_are(db, RESERVE, "app_reader", ["EXECUTE"])


# --------------------------------------------------------------------------------------------------------- open holds


def test_todays_open_holds_lapse_and_older_ones_are_history(application_dsn: str, db: Connection) -> None:
    before = rows(application_dsn)["cost_tracking"]
    db.execute("""UPDATE public.system_config SET value = value::jsonb || '{"reservation_ttl": "2 hours"}'
                  WHERE key = 'budget_limits'""")
    chain.migrate(application_dsn)
    pgtap.results_eq(
        db,
        "SELECT service_name, expires_at - created_at FROM public.cost_tracking WHERE expires_at IS NOT NULL",
        [("today's hold", timedelta(hours=2))],
    )
    pgtap.is_empty(db, "SELECT * FROM budget.invariants")
    db.execute("ALTER TABLE public.cost_tracking DROP COLUMN expires_at CASCADE")
    assert rows(application_dsn)["cost_tracking"] == before


def test_an_adopted_hold_is_settled_cancelled_and_expired_like_every_other(
    application_dsn: str, db: Connection
) -> None:
    chain.migrate(application_dsn)
    hold = "00000000-0000-0000-0000-0000000000d2"
    pgtap.results_eq(db, "SELECT reservation_id::text, estimated_cost FROM budget.open_holds", [(hold, 6)])
    pgtap.results_eq(
        db,
        "SELECT status, estimated_cost, actual_cost, late FROM budget.settle(%s, 5.5)",
        [("actual", 6, Decimal("5.5"), False)],
        [hold],
    )
    pgtap.is_empty(db, "SELECT * FROM budget.invariants")


def test_a_hold_that_the_application_inserts_itself_lapses_too(application_dsn: str, db: Connection) -> None:
    chain.migrate(application_dsn)
    db.execute(
        "INSERT INTO cost_tracking (cost, service_name, metadata) VALUES (1, 'own', '{\"type\": \"reservation\"}')"
    )
    pgtap.results_eq(
        db, "SELECT expires_at - created_at = '1 hour' FROM public.cost_tracking WHERE service_name = 'own'", [(True,)]
    )
