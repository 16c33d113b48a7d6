"""What a database linter would look for, as rules of our own. Each rule is shown an offence, to prove that it looks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.pgtap import is_empty, isnt_empty
from tests.rows import Connection
from tests.security.test_grid import may
from tests.series import by_series

OURS = """(
    p.pronamespace = 'budget'::regnamespace
    OR p.oid = 'public.check_and_reserve_budget(numeric, text, jsonb)'::regprocedure
)"""
INTERNAL = "starts_with(p.proname, '_')"
# What the views call runs with the reader's rights.
CALLED_BY_VIEWS = sorted(
    ["_drift", "_escalated", "_reading", "_window", *by_series(core=[], budgets=["_budget_standing"])]
)
OF_VIEWS = f"p.proname IN ({', '.join(map(repr, CALLED_BY_VIEWS))})"
TABLES = """(c.relkind = 'r' AND c.relnamespace = 'budget'::regnamespace OR c.oid IN (
    'public.cost_tracking'::regclass, 'public.escalations'::regclass, 'public.proposer_configs'::regclass,
    'public.system_config'::regclass, 'public.work_orders'::regclass
))"""


@dataclass(frozen=True)
class Lint:
    """No rows, or they name who breaks the rule; and something that breaks it."""

    rule: str
    query: str
    offence: str


LINTS = [
    Lint(
        "every function pins its search_path, to nothing that others can create in",
        f"""SELECT p.oid::regprocedure FROM pg_proc AS p
             WHERE {OURS} AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{{}}'))""",
        "ALTER FUNCTION budget._money(numeric, text) RESET search_path",
    ),
    Lint(
        "every public function, and of the internal ones triggers and what views call, is SECURITY DEFINER",
        f"""SELECT p.oid::regprocedure FROM pg_proc AS p
             WHERE {OURS}
               AND p.prosecdef <> (NOT {INTERNAL} OR p.prorettype = 'trigger'::regtype OR {OF_VIEWS})""",
        "ALTER FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) SECURITY DEFINER",
    ),
    Lint(
        "a SECURITY DEFINER function that reads tables makes hidden rows an error",
        f"""SELECT p.oid::regprocedure FROM pg_proc AS p
             WHERE {OURS} AND p.prosecdef AND p.provolatile <> 'i' AND p.prorettype <> 'trigger'::regtype
               AND p.proname <> '_window' AND NOT 'row_security=off' = ANY (p.proconfig)""",
        "ALTER FUNCTION budget.reserve(numeric, text, jsonb, uuid, interval) RESET row_security",
    ),
    Lint(
        "AT TIME ZONE is used under a pinned TimeZone alone",
        f"""SELECT p.oid::regprocedure FROM pg_proc AS p
             WHERE {OURS} AND p.prosrc ILIKE '%AT TIME ZONE%' AND NOT 'TimeZone=UTC' = ANY (p.proconfig)""",
        "ALTER FUNCTION budget._window(timestamptz, text) RESET timezone",
    ),
    Lint(
        "no function is executable by PUBLIC, nor by the roles of a platform's web users",
        f"""SELECT p.oid::regprocedure, a.grantee
              FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
             WHERE {OURS} AND a.grantee IN (0, 'anon'::regrole, 'authenticated'::regrole)""",
        "GRANT EXECUTE ON FUNCTION budget.version() TO PUBLIC",
    ),
    Lint(
        "an internal function is for its owner alone; what views call, and writes nothing, for their readers too",
        f"""SELECT p.oid::regprocedure, a.grantee
              FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
             WHERE {OURS} AND {INTERNAL} AND a.grantee <> p.proowner
               AND NOT ({OF_VIEWS} AND p.provolatile = 's' AND a.grantee = 'budget_reader'::regrole)""",
        "GRANT EXECUTE ON FUNCTION budget._read_config() TO budget_caller",
    ),
    Lint(
        "no table or view is open to PUBLIC, nor to the roles of a platform's web users",
        f"""SELECT c.oid::regclass, a.grantee, a.privilege_type
              FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
             WHERE ({TABLES} OR c.relnamespace = 'budget'::regnamespace OR c.relname LIKE '%yoyo%')
               AND a.grantee IN (0, 'anon'::regrole, 'authenticated'::regrole)""",
        "GRANT SELECT ON budget.status TO anon",
    ),
    Lint(
        "nobody but the owner creates in schema budget, and only our roles enter it",
        """SELECT a.grantee, a.privilege_type FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
            WHERE n.nspname = 'budget' AND a.grantee <> n.nspowner
              AND NOT (a.privilege_type = 'USAGE' AND a.grantee IN (
                  'budget_caller'::regrole, 'budget_admin'::regrole, 'budget_reader'::regrole))""",
        "GRANT CREATE ON SCHEMA budget TO budget_admin",
    ),
    Lint(
        "a view's filter comes before a reader's functions, and its owner is that of _reading, which guards it",
        """SELECT c.oid::regclass FROM pg_class AS c
            WHERE c.relkind = 'v' AND c.relnamespace = 'budget'::regnamespace
              AND (NOT 'security_barrier=true' = ANY (coalesce(c.reloptions, '{}'))
                   OR c.relowner <> (SELECT p.proowner FROM pg_proc AS p WHERE p.oid = 'budget._reading'::regproc))""",
        "ALTER VIEW budget.open_holds RESET (security_barrier)",
    ),
    Lint(
        "every foreign key has an index that begins with its columns",
        f"""SELECT k.conrelid::regclass, k.conname
              FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
             WHERE k.contype = 'f' AND {TABLES}
               AND NOT EXISTS (
                   SELECT FROM pg_index AS i WHERE i.indrelid = k.conrelid
                      AND (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey)""",
        "ALTER TABLE public.work_orders ADD FOREIGN KEY (proposer_id) REFERENCES public.proposer_configs (id)",
    ),
    Lint(
        "every table has a primary key, but for the postings: nothing refers to one, and thousands come and go",
        f"""SELECT c.oid::regclass FROM pg_class AS c
             WHERE {TABLES} AND c.relname <> 'postings'
               AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)""",
        "ALTER TABLE public.cost_tracking DROP CONSTRAINT cost_tracking_pkey",
    ),
    Lint(
        "no two indexes of a table find by the same columns",
        f"""SELECT i.indexrelid::regclass, j.indexrelid::regclass
              FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
              JOIN pg_index AS j ON j.indrelid = i.indrelid AND j.indexrelid > i.indexrelid
             WHERE {TABLES} AND i.indclass = j.indclass
               AND (i.indkey::smallint[])[0:i.indnkeyatts - 1] = (j.indkey::smallint[])[0:j.indnkeyatts - 1]""",
        "CREATE INDEX ON public.cost_tracking (created_at)",
    ),
    Lint(
        "functions, views, types and the schema have a comment",
        f"""SELECT p.oid::regprocedure::text FROM pg_proc AS p
             WHERE {OURS} AND obj_description(p.oid, 'pg_proc') IS NULL
            UNION ALL
            SELECT c.oid::regclass::text FROM pg_class AS c
             WHERE c.relnamespace = 'budget'::regnamespace AND c.relkind IN ('v', 'c')
               AND coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')) IS NULL
            UNION ALL
            SELECT n.nspname FROM pg_namespace AS n
             WHERE n.nspname = 'budget' AND obj_description(n.oid, 'pg_namespace') IS NULL""",
        "COMMENT ON FUNCTION budget.version() IS NULL",
    ),
    Lint(
        "every argument is named p_, for callers write the names",
        f"""SELECT p.oid::regprocedure FROM pg_proc AS p
             WHERE {OURS} AND p.pronargs > 0 AND (
                   p.proargnames IS NULL
                   OR EXISTS (SELECT FROM unnest(p.proargnames[:p.pronargs]) AS a WHERE a !~ '^p_[a-z_]+$'))""",
        "CREATE FUNCTION budget.bare(integer) RETURNS integer LANGUAGE sql RETURN 1",
    ),
    Lint(
        "no name is overloaded",
        """SELECT p.proname FROM pg_proc AS p
            WHERE p.pronamespace = 'budget'::regnamespace OR p.proname = 'check_and_reserve_budget'
            GROUP BY p.proname HAVING count(*) > 1""",
        "CREATE FUNCTION budget.version(p_more integer) RETURNS integer LANGUAGE sql RETURN 1",
    ),
    Lint(
        "a message can be sent in any client encoding: a character that it lacks would hide the SQLSTATE",
        f"SELECT p.oid::regprocedure FROM pg_proc AS p WHERE {OURS} AND p.prosrc ~ '[^[:ascii:]]'",
        "CREATE FUNCTION budget.dots() RETURNS text LANGUAGE sql AS $$SELECT U&'\\2026' || '\u2026'$$",
    ),
    Lint(
        "no function runs in parallel workers, where it could not write",
        f"SELECT p.oid::regprocedure FROM pg_proc AS p WHERE {OURS} AND p.proparallel <> 'u'",
        "ALTER FUNCTION budget.reserve(numeric, text, jsonb, uuid, interval) PARALLEL SAFE",
    ),
]


@pytest.mark.parametrize("lint", LINTS, ids=lambda lint: lint.rule)
def test_lint(hosted: Connection, lint: Lint) -> None:
    is_empty(hosted, lint.query)


@pytest.mark.parametrize("lint", LINTS, ids=lambda lint: lint.rule)
def test_the_lint_finds_an_offence(hosted: Connection, lint: Lint) -> None:
    with hosted.transaction(force_rollback=True):
        hosted.execute(lint.offence.encode())
        isnt_empty(hosted, lint.query)


def test_internal_functions_are_refused_to_every_role(hosted: Connection) -> None:
    """Called for real, with nulls: the privilege is checked before anything of the function runs."""
    calls = hosted.execute(
        f"""SELECT format('SELECT %s(%s)', p.oid::regproc, (
                SELECT string_agg(format('NULL::%s', format_type(a, NULL)), ', ' ORDER BY n)
                  FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (a, n)))
              FROM pg_proc AS p WHERE {OURS} AND {INTERNAL}"""
    ).fetchall()
    assert len(calls) > 40
    allowed = [
        (role, statement)
        for role in ("caller", "admin", "reader", "nobody", "anon", "authenticated", "service_role")
        for (statement,) in calls
        if may(hosted, role, statement) != "-"
    ]
    assert {role for role, _ in allowed} == {"reader"}
    assert sorted(statement.split("(")[0] for _, statement in allowed) == [
        f"SELECT budget.{function}" for function in CALLED_BY_VIEWS
    ]
