"""A caller with every trick of its own session moves no limit and no total, and reads nothing that is not its own."""

from __future__ import annotations

import psycopg
import pytest

from tests.clock import NOON, Clock, utc
from tests.pgtap import throws_ok
from tests.rows import Connection, call, one, spend, total
from tests.security.calls import CALLS, HOLD, NEW, ORDER
from tests.security.conftest import Login

DAY = "2025-10-03"
Answers = list[list[object] | str | None]

# Of the day's limit of $100 there are $3 left: spend at both ends of its first half, and another's hold of $2. The days
# before and after it have spend as well. A day that moved by an hour either way would find more room, or less.
SPEND = {
    "2025-10-02 23:59:59.999999+00": 3,
    f"{DAY} 00:00+00": 50,
    f"{DAY} 11:59+00": 45,
    "2025-10-04 00:00+00": 7,
}

# A caller's statements, each at the edge of what there is room for.
QUESTIONS = {
    "fits": f"SELECT * FROM budget.reserve(3, 'mine', p_reservation_id => '{NEW}')",
    "too much": "SELECT * FROM budget.reserve(3.000000000001, 'mine')",
    "fits, advisory": f"SELECT * FROM budget.reserve_advisory(3, 'mine', p_reservation_id => '{NEW}')",
    "too much, advisory": "SELECT * FROM budget.reserve_advisory(3.000000000001, 'mine')",
    "too much, in three columns": "SELECT * FROM public.check_and_reserve_budget(3.000000000001, 'mine')",
    "check": "SELECT * FROM budget.check(3.000000000001, 'mine')",
    "extended too far": f"SELECT * FROM budget.extend('{HOLD}', 5.000000000001)",
    "settled over the limit": f"SELECT * FROM budget.settle('{HOLD}', 5.000000000001)",
    "recorded over the limit": f"SELECT * FROM budget.record(3.000000000001, 'mine', p_id => '{NEW}')",
    "routed": f"SELECT budget.route_work_order('{ORDER}', 'encryption', '{{}}', 1, true) -> 'success'",
    "limits": "SELECT * FROM budget.limits()",
    "no object": "SELECT * FROM budget.check(1, 'mine', '[]')",
}


@pytest.fixture(scope="module", autouse=True)
def owner(plain: Connection) -> Connection:
    """The superuser's session, after the spend above."""
    plain.execute("DELETE FROM public.cost_tracking")
    plain.execute("GRANT CREATE ON SCHEMA public TO caller")  # as it was for everyone before PostgreSQL 15
    plain.execute("DROP TABLE public.test_clock")
    Clock(plain, NOON)
    for at, cost in SPEND.items():
        spend(plain, cost, at=utc(at))
    call(plain, "reserve", 2, "theirs", {"prompt": "their secret"}, p_reservation_id=HOLD)
    return plain


def answers(session: Connection) -> Answers:
    """What each question is answered with, or its SQLSTATE; undone afterwards. In binary, which no setting formats."""
    return [answer(session, question) for question in QUESTIONS.values()]


def answer(session: Connection, question: str) -> list[object] | str | None:
    try:
        with session.transaction(force_rollback=True), session.cursor(binary=True) as cursor:
            return list(cursor.execute(question.encode()).fetchall())
    except psycopg.Error as error:
        return error.sqlstate


@pytest.fixture
def plain_answers(login: Login) -> Answers:
    return answers(login("caller"))


def test_the_edge_is_where_it_is_said_to_be(login: Login, owner: Connection) -> None:
    caller = login("caller")
    assert total(caller) == 97
    given = dict(zip(QUESTIONS, answers(caller), strict=True))
    granted = {what for what, rows in given.items() if isinstance(rows, list) and rows[0][0] is True}  # type: ignore[index]
    assert granted == {"fits", "fits, advisory", "routed"}
    assert given["no object"] == "22023"
    assert total(owner) == 97


SETTINGS = [
    *(
        f"TimeZone = '{zone}'"
        for zone in ("UTC-14", "UTC+12", "<UTC>-10", "<utc>+1", "Pacific/Kiritimati", "Asia/Tokyo")
    ),
    "timezone_abbreviations = 'Australia'",
    "DateStyle = 'German, DMY'",
    "DateStyle = 'SQL, MDY'",
    *(f"IntervalStyle = '{style}'" for style in ("sql_standard", "iso_8601", "postgres_verbose")),
    "extra_float_digits = -15",
    "bytea_output = 'escape'",
    *(f"lc_{category} = 'POSIX'" for category in ("monetary", "numeric", "time")),
    "client_encoding = 'LATIN1'",
    "standard_conforming_strings = off",
    "backslash_quote = on",
    "array_nulls = off",
    "transform_null_equals = on",
    "quote_all_identifiers = on",
    "xmlbinary = 'hex'",
    "row_security = off",
    "row_security = on",
    "search_path = ''",
    "search_path = 'pg_temp, public, pg_catalog'",
    "search_path = 'budget, pg_temp'",
    "synchronous_commit = off",
    "check_function_bodies = off",
    "plpgsql.extra_errors = 'all'",
    "plpgsql.extra_warnings = 'all'",
    "plpgsql.check_asserts = off",
    *(f"plan_cache_mode = '{mode}'" for mode in ("force_generic_plan", "force_custom_plan")),
    "jit = on; SET jit_above_cost = 0",
    "enable_indexscan = off; SET enable_bitmapscan = off",
    "enable_seqscan = off; SET enable_nestloop = off; SET enable_hashagg = off",
    "from_collapse_limit = 1; SET join_collapse_limit = 1; SET geqo_threshold = 2",
    "work_mem = 64; SET hash_mem_multiplier = 1",
    "debug_parallel_query = on",
    "max_parallel_workers_per_gather = 8; SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0",
    "default_transaction_deferrable = on",
    "lock_timeout = 1",
    "client_min_messages = debug5",
    "idle_in_transaction_session_timeout = 60000",
    # Settings that look as if they were ours. The first is how tests move time elsewhere; nothing here reads it.
    """test."offset" = '1 day'""",
    *(
        f"{name} = '999999'"
        for name in ('budget."limit"', "budget.emergency_kill", 'pgbudget."limit"', "app.daily_limit")
    ),
    """budget.limits = '{"emergency_kill": 999999}'""",
    "pgbudget.accept_negative = on",
    "pgbudget.lock_patience = '0s'",
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_changes_an_answer(login: Login, owner: Connection, plain_answers: Answers, setting: str) -> None:
    caller = login("caller")
    if setting.startswith("debug_parallel_query") and caller.info.server_version < 160000:
        setting = setting.replace("debug_parallel_query", "force_parallel_mode")  # its name until then
    caller.execute(f"SET {setting}".encode())
    assert dict(zip(QUESTIONS, answers(caller), strict=True)) == dict(zip(QUESTIONS, plain_answers, strict=True))
    assert total(owner) == 97


@pytest.mark.parametrize(
    ("setting", "sqlstate"),
    [
        ("default_transaction_isolation = 'repeatable read'", "PB001"),
        ("default_transaction_isolation = 'serializable'", "PB001"),
        ("default_transaction_read_only = on", "25006"),
    ],
)
def test_a_setting_that_forbids_deciding_is_an_error(
    login: Login, owner: Connection, plain_answers: Answers, setting: str, sqlstate: str
) -> None:
    caller = login("caller")
    caller.execute(f"SET {setting}".encode())
    given = dict(zip(QUESTIONS, answers(caller), strict=True))
    assert given["fits"] == given["too much, advisory"] == given["extended too far"] == given["routed"] == sqlstate
    others = {what: rows for what, rows in given.items() if rows != sqlstate}
    assert others.items() <= dict(zip(QUESTIONS, plain_answers, strict=True)).items()
    assert total(owner) == 97


def test_no_zone_that_the_limits_may_name_means_another_in_some_session(owner: Connection) -> None:
    """`timezone_abbreviations` gives a few names of pg_timezone_names, such as EST, another meaning."""
    zones = owner.execute(
        """SELECT z.name,
                  (budget._parse_config(jsonb_build_object('emergency_kill', 1, 'timezone', z.name)::text)).error
             FROM pg_timezone_names AS z"""
    ).fetchall()
    accepted = [name for name, error in zones if error is None]
    assert 0.9 * len(zones) < len(accepted) < len(zones)
    meanings = []
    for abbreviations in ("Default", "Australia", "India"):
        with owner.transaction(force_rollback=True):
            owner.execute(f"SET LOCAL timezone_abbreviations = '{abbreviations}'".encode())
            days = owner.execute("SELECT n, budget._window(%s, n) FROM unnest(%s::text[]) AS n", [NOON, accepted])
            meanings.append(days.fetchall())
    assert meanings[0] == meanings[1] == meanings[2]


def planted(schema: str) -> str:
    """Functions, operators and types with the names that our functions use, in a schema of the caller's."""
    lies = {
        **dict.fromkeys(
            ("now", "clock_timestamp", "_now"), ("", "timestamptz", "'2000-01-01'::pg_catalog.timestamptz")
        ),
        "_money": ("numeric, text", "numeric", "0"),
        "current_setting": ("text", "text", "'read committed'"),
        "set_config": ("text, text, boolean", "text", "''"),
        "jsonb_typeof": ("jsonb", "text", "'object'"),
        "char_length": ("text", "integer", "1"),
        "scale": ("numeric", "integer", "0"),
        "pg_advisory_xact_lock": ("bigint", "void", "NULL::void"),
    }
    functions = [
        f"CREATE FUNCTION {schema}.{name}({arguments}) RETURNS {result} LANGUAGE sql AS $$SELECT {lie}$$"
        for name, (arguments, result, lie) in lies.items()
    ]
    operators = [f"CREATE FUNCTION {schema}.zero(numeric, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0'"]
    for right in ("numeric", "integer"):
        operators.append(
            f"CREATE FUNCTION {schema}.yes(numeric, {right}) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        )
        operators += [
            f"CREATE OPERATOR {schema}.{sign} (LEFTARG = numeric, RIGHTARG = {right}, FUNCTION = {schema}.yes)"
            for sign in ("=", "<=", ">=", "<", ">")
        ]
    operators += [
        f"CREATE OPERATOR {schema}.{sign} (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = {schema}.zero)"
        for sign in ("+", "-")
    ]
    others = [
        f"CREATE AGGREGATE {schema}.sum(numeric) (SFUNC = {schema}.zero, STYPE = numeric, INITCOND = '0')",
        f"CREATE TYPE {schema}.verdict AS (can_proceed boolean)",
        f"CREATE DOMAIN {schema}.timestamptz AS text",
        f"CREATE DOMAIN {schema}.jsonb AS text",
    ]
    return ";".join([*functions, *operators, *others])


TABLES_OF_OURS = """
CREATE TEMP TABLE cost_tracking (
    id uuid PRIMARY KEY, service_name text, cost numeric, metadata jsonb, created_at timestamptz, expires_at timestamptz
);
CREATE TEMP TABLE system_config (key text PRIMARY KEY, value text, description text, updated_at timestamptz);
INSERT INTO pg_temp.system_config VALUES ('budget_limits', '{"emergency_kill": 999999}');
CREATE TEMP TABLE work_orders (id uuid PRIMARY KEY, metadata jsonb, updated_at timestamptz);
CREATE TEMP VIEW proposer_configs AS SELECT 'free' AS name, 1.0 AS complexity_threshold;
CREATE TEMP TABLE escalations (id uuid PRIMARY KEY);
"""


PLANTED = {
    "tables": (TABLES_OF_OURS, "SELECT count(*) = 0 FROM pg_temp.cost_tracking"),
    "temporary": (planted("pg_temp"), "SELECT pg_temp.now() < '2001-01-01'"),
    "public": (planted("public"), "SELECT 2.0 <= 1"),
}


@pytest.mark.parametrize("search_path", ["pg_temp, public, pg_catalog", "public, pg_temp, budget"])
@pytest.mark.parametrize("objects", PLANTED)
def test_no_object_of_its_own_stands_in_for_ours(
    login: Login, plain_answers: Answers, objects: str, search_path: str
) -> None:
    caller = login("caller")
    caller.execute(f"SET search_path = {search_path}".encode())
    create, in_force = PLANTED[objects]
    with caller.transaction(force_rollback=True):
        caller.execute(create.encode())
        assert caller.execute(in_force.encode()).fetchone() == (True,)
        given = answers(caller)
    assert dict(zip(QUESTIONS, given, strict=True)) == dict(zip(QUESTIONS, plain_answers, strict=True))


FORBIDDEN = [
    "SET ROLE budget_admin",
    "SET ROLE budget_reader",
    "SET ROLE admin",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION admin",
    "SET session_replication_role = 'replica'",
    "GRANT budget_admin TO caller",
    "ALTER ROLE caller SUPERUSER",
    "ALTER ROLE budget_caller SET lock_timeout = 0",
    "ALTER DATABASE plain SET timezone = 'Asia/Tokyo'",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION budget._guard_hold()",
    "CREATE FUNCTION budget.reserve(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE OR REPLACE FUNCTION budget._now() RETURNS timestamptz LANGUAGE sql AS $$SELECT timestamptz 'epoch'$$",
    "ALTER FUNCTION budget._now() RENAME TO mine",
    "ALTER FUNCTION budget.version() RESET ALL",
    "ALTER FUNCTION budget.version() SECURITY INVOKER",
    "DROP VIEW budget.status",
    "ALTER TYPE budget.verdict ADD ATTRIBUTE mine text",
    "COMMENT ON SCHEMA budget IS ''",
    "ALTER TABLE public.cost_tracking DISABLE TRIGGER ALL",
    "DROP TRIGGER budget_guard_hold ON public.cost_tracking",
    "ALTER TABLE public.cost_tracking DROP CONSTRAINT budget_cost_in_range",
    "CREATE RULE mine AS ON INSERT TO public.cost_tracking DO INSTEAD NOTHING",
    "CREATE POLICY mine ON public.cost_tracking USING (false)",
    "CREATE INDEX ON public.cost_tracking (cost)",
    "CREATE STATISTICS mine ON id, cost FROM public.cost_tracking",
    "CREATE TABLE public.mine () INHERITS (public.cost_tracking)",
    "CREATE TABLE public.mine (id uuid REFERENCES public.cost_tracking (id))",
    "CREATE TABLE public.mine (LIKE public.cost_tracking)",
    "LOCK TABLE public.cost_tracking IN ACCESS SHARE MODE",
    "COPY public.cost_tracking TO STDOUT",
    "SELECT id FROM public.cost_tracking FOR UPDATE",
    "SELECT * FROM public.system_config",
    "INSERT INTO public.system_config (key, value) VALUES ('budget_limits', '{}') ON CONFLICT DO NOTHING",
    "UPDATE public.system_config SET value = '{}'",
    "INSERT INTO public.cost_tracking (service_name, cost) VALUES ('mine', 0)",
    "UPDATE public.cost_tracking SET cost = 0",
    "DELETE FROM public.cost_tracking",
    "DELETE FROM public.escalations",
    "TRUNCATE public.escalations",
    "SELECT * FROM budget.open_holds",
    "SELECT * FROM budget.set_limits('{\"emergency_kill\": 999999}')",
    "SELECT budget._money(1, 'p')",
    "SELECT budget._reserve('none', 1, 'mine', '{}', NULL, NULL, NULL)",
    "SELECT budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE')",
    "SELECT budget._guard_hold()",
    *(
        f"""CREATE TEMP TABLE cost_tracking (id uuid);
            CREATE TRIGGER mine BEFORE INSERT ON pg_temp.cost_tracking EXECUTE FUNCTION budget.{function}()"""
        for function in ("_guard_hold", "_adopt_hold")
    ),
    "CREATE VIEW pg_temp.mine AS SELECT * FROM public.cost_tracking; SELECT * FROM pg_temp.mine",
    """CREATE FUNCTION pg_temp.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER
           AS 'SELECT count(*) FROM public.cost_tracking'; SELECT pg_temp.f()""",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_caller_may_not(login: Login, statement: str) -> None:
    caller = login("caller")
    with caller.transaction(force_rollback=True):
        throws_ok(caller, statement, None, "42501")


def told(session: Connection, statement: str) -> str:
    """All that a statement says, an error with its DETAIL; undone afterwards."""
    try:
        with session.transaction(force_rollback=True):
            return str(session.execute(statement.encode()).fetchall())
    except psycopg.Error as error:
        return str(error)


def test_a_caller_learns_nothing_of_anothers_metadata_from_its_id(login: Login) -> None:
    """A reservation with an id that is in use is the exception: it is told both, so that the mistake can be found."""
    caller = login("caller")
    seen: list[str] = []
    caller.add_notice_handler(lambda notice: seen.append(f"{notice.message_primary} {notice.message_detail}"))
    wrong = [
        f"SELECT budget.settle('{HOLD}', 1), budget.{then}" for then in (f"cancel('{HOLD}')", f"settle('{HOLD}', 2)")
    ]
    seen += [told(caller, statement) for statement in [*CALLS.values(), *QUESTIONS.values(), *wrong]]
    assert HOLD in str(seen)
    assert "secret" not in str(seen)


# Ways to make a function look at the day as it was


def test_a_statement_prepared_before_decides_by_the_limit_of_now(login: Login, owner: Connection) -> None:
    caller, admin = login("caller"), login("admin")
    caller.execute("PREPARE ask AS SELECT can_proceed FROM budget.check(3, 'mine')")
    for _ in range(6):  # from the sixth time on its plan is kept
        assert caller.execute("EXECUTE ask").fetchone() == (True,)
    try:
        call(admin, "set_limits", {"emergency_kill": 99})
        assert caller.execute("EXECUTE ask").fetchone() == (False,)
    finally:
        call(admin, "set_limits", {"emergency_kill": 100})
    assert caller.execute("EXECUTE ask").fetchone() == (True,)


@pytest.mark.parametrize("variant", ["reserve", "reserve_advisory"])
@pytest.mark.parametrize(
    "declare",
    [
        "DECLARE late CURSOR FOR SELECT can_proceed FROM budget.{}(3, 'mine')",
        """CREATE FUNCTION pg_temp.ask() RETURNS boolean STABLE LANGUAGE plpgsql
               AS 'BEGIN RETURN (SELECT can_proceed FROM budget.{}(3, ''mine'')); END';
           DECLARE late CURSOR FOR SELECT pg_temp.ask()""",
    ],
    ids=["volatile", "within a stable function"],
)
def test_a_cursor_opened_before_decides_by_the_spend_of_now(
    login: Login, owner: Connection, declare: str, variant: str
) -> None:
    caller, other = login("caller"), login("caller")
    with caller.transaction(force_rollback=True):
        caller.execute(declare.format(variant).encode())
        hold = call(other, "reserve", 2, "other").reservation_id
        decided = caller.execute("FETCH late").fetchone()
    owner.execute("DELETE FROM public.cost_tracking WHERE id = %s", [hold])
    assert decided == (False,)


@pytest.mark.parametrize("variant", ["reserve", "reserve_advisory"])
def test_one_statement_with_many_calls_is_granted_no_more_than_there_is_room_for(login: Login, variant: str) -> None:
    caller = login("caller")
    with caller.transaction(force_rollback=True):
        given = one(
            caller,
            f"""SELECT count(*) FILTER (WHERE v.can_proceed) AS granted
                  FROM generate_series(1, 9) AS n, budget.{variant}(0.99 + n * 0.001, 'mine') AS v""",
        )
        assert given.granted == 3
        assert total(caller) <= 100


# Ways to stop a function half way


@pytest.mark.parametrize(("setting", "sqlstate"), [("statement_timeout = 50", "57014"), ("lock_timeout = 1", "55P03")])
def test_a_call_that_is_stopped_while_it_waits_leaves_nothing(
    login: Login, owner: Connection, setting: str, sqlstate: str
) -> None:
    caller, other = login("caller"), login("caller")
    caller.execute(f"SET {setting}".encode())
    with other.transaction(force_rollback=True):
        call(other, "reserve_advisory", 1, "other")
        for variant in ("reserve", "reserve_advisory"):
            throws_ok(caller, f"SELECT * FROM budget.{variant}(1, 'mine')", None, sqlstate)
    assert total(owner) == 97
    caller.execute("RESET ALL")
    with caller.transaction(force_rollback=True):
        assert call(caller, "reserve", 1, "mine").can_proceed


def test_a_transaction_that_is_taken_back_gives_its_room_back(login: Login) -> None:
    caller = login("caller")
    with caller.transaction(force_rollback=True):
        with caller.transaction(force_rollback=True):
            assert call(caller, "reserve", 3, "mine").can_proceed
            assert not call(caller, "reserve", 1, "mine").can_proceed
        assert call(caller, "reserve", 3, "mine").can_proceed
