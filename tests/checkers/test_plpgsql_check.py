"""plpgsql_check reads every PL/pgSQL function against the real tables: names, types, casts, what is unused, EXECUTE."""

from __future__ import annotations

import pytest

from tests.pgtap import results_eq
from tests.rows import Connection
from tests.series import by_series

FINDINGS = """
SELECT format('%s: %s: %s', p.proname, c.level, c.message)
  FROM pg_proc AS p
 CROSS JOIN LATERAL plpgsql_check_function_tb(
     p.oid,
     CASE
         WHEN p.proname = '_rezone' THEN 'public.system_config'::regclass
         WHEN p.prorettype = 'trigger'::regtype THEN 'public.cost_tracking'::regclass
         ELSE 0
     END,
     oldtable => CASE p.proname WHEN '_post' THEN 'old_rows' END,
     newtable => CASE p.proname WHEN '_post' THEN 'new_rows' END,
     fatal_errors => false, other_warnings => true, extra_warnings => true, performance_warnings => true,
     security_warnings => true, compatibility_warnings => true
 ) AS c
 WHERE p.prolang = (SELECT l.oid FROM pg_language AS l WHERE l.lanname = 'plpgsql')
   AND (p.pronamespace = 'budget'::regnamespace OR p.proname = 'check_and_reserve_budget')
 GROUP BY 1
 ORDER BY 1
"""

# What is found wrongly, or stays all the same, and why. What is found no more must go from here.
ACCEPTED = {
    "_keep_found: security: text type variable is not sanitized": "a name as regprocedure or regclass writes it",
    "_day_start: performance: routine is marked as STABLE, should be IMMUTABLE": (
        "PostgreSQL says so of AT TIME ZONE, but a zone's rules change with the time zone files"
    ),
    "_zone: performance: routine is marked as STABLE, should be IMMUTABLE": "the same",
    '_serialise: warning extra: composite OUT variable "config" is not single argument': "one of two, by intent",
    'route_work_order: warning extra: unused parameter "p_context_requirements"': (
        "the application's request has it; no rule reads it"
    ),
}
THE_OTHER_SERIES = "the function is one of a pair, and the other series needs it"
CAST = "assigned with a cast that keeps the value: a literal's, or from bigint and integer"
ACCEPTED["_freed: performance: target type is different type than source type"] = CAST
ACCEPTED |= by_series(
    core={
        '_headroom: warning extra: unused parameter "p_service_name"': THE_OTHER_SERIES,
        '_headroom: warning extra: unused parameter "p_metadata"': THE_OTHER_SERIES,
        '_serialise: warning extra: unused parameter "p_postings"': THE_OTHER_SERIES,
        "_drift: performance: routine is marked as STABLE, should be IMMUTABLE": THE_OTHER_SERIES,
        **{
            f'_drift: warning extra: unmodified OUT variable "{column}"': THE_OTHER_SERIES
            for column in ("balance", "budget", "ledger", "member", "starts_at")
        },
    },
    budgets={
        '_serialise: warning extra: unused parameter "p_lock"': THE_OTHER_SERIES,
        "_serialise: warning: target type is different type than source type": CAST,
        **{
            f"{function}: {kind}: target type is different type than source type": CAST
            for function in ("_lock_holds", "prune")
            for kind in ("performance", "warning")
        },
    },
)


def test_it_finds_nothing_but_what_is_accepted(db: Connection) -> None:
    results_eq(db, FINDINGS, [(finding,) for finding in sorted(ACCEPTED)])


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ("BEGIN RETURN (SELECT l.costs FROM public.cost_tracking AS l LIMIT 1); END", "column l.costs does not exist"),
        ("DECLARE v_none text; BEGIN RETURN 1; END", 'unused variable "v_none"'),
        ("BEGIN EXECUTE 'SELECT ' || p_text; RETURN 1; END", "text type variable is not sanitized"),
        ("BEGIN RETURN p_text; END", "target type is different type than source type"),
    ],
)
def test_it_finds_an_offence(db: Connection, body: str, finding: str) -> None:
    with db.transaction(force_rollback=True):
        db.execute(
            f"CREATE FUNCTION budget.offence(p_text text) RETURNS integer LANGUAGE plpgsql AS $${body}$$".encode()
        )
        found = [text for (text,) in db.execute(FINDINGS) if text.startswith("offence")]
        assert any(text.endswith(finding) for text in found), found


def test_triggers_are_among_what_is_read(db: Connection) -> None:
    """They are read against the ledger: a column that it lacks is found."""
    with db.transaction(force_rollback=True):
        db.execute("ALTER TABLE public.cost_tracking RENAME COLUMN expires_at TO lapses_at")
        found = [text for (text,) in db.execute(FINDINGS)]
    for trigger in ("_guard_hold", "_adopt_hold"):
        assert f'{trigger}: error: record "new" has no field "expires_at"' in found
