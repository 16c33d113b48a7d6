"""Whatever a caller sets in its session, or puts in its way, every answer and every row is the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clock import NOON, Clock
from tests.rows import Connection, as_owner, one, rows

STEPS = [
    "budget.check(10, 'a')",
    "budget.reserve(10, 'a', '{\"k\": 1.50}', '00000000-0000-0000-0000-000000000001', '90 minutes')",
    "budget.reserve(10, 'a', '{\"k\": 1.5}', '00000000-0000-0000-0000-000000000001')",
    "budget.reserve_advisory(20.25, 'b', p_reservation_id => '00000000-0000-0000-0000-000000000002')",
    "budget.extend('00000000-0000-0000-0000-000000000002', 30.5, '1 day')",
    "budget.reserve(99, 'c')",
    "budget.reserve_advisory(101, 'd')",
    "budget.settle('00000000-0000-0000-0000-000000000001', 120.125, '{\"m\": true}')",
    "budget.cancel('00000000-0000-0000-0000-000000000002', 'why')",
    "budget.record(0.1, 'e', '{}', '00000000-0000-0000-0000-000000000003')",
    "public.check_and_reserve_budget(1, 'f')",
    "budget.estimate(0.5, false)",
    "budget.estimate_from_history('a', 0.5, '1 month')",
]


def life(connection: Connection) -> list[Any]:
    """The answers to calls of every kind, and what the tables hold after them. JSON has one form for each value."""
    answers = [one(connection, f"SELECT to_jsonb(v) AS v FROM {step} AS v").v for step in STEPS]
    with as_owner(connection):
        for table in ("public.cost_tracking", "public.escalations", "budget.status", "budget.daily_spend"):
            answers += sorted(str(row.v) for row in rows(connection, f"SELECT to_jsonb(t) AS v FROM {table} AS t"))
    return answers


SETTINGS = [
    *({"datestyle": style} for style in ("German, DMY", "SQL, MDY", "Postgres, YMD")),
    *({"intervalstyle": style} for style in ("sql_standard", "iso_8601", "postgres_verbose")),
    {"extra_float_digits": "-15"},
    {"standard_conforming_strings": "off", "escape_string_warning": "off", "backslash_quote": "on"},
    {"transform_null_equals": "on"},
    {"quote_all_identifiers": "on"},
    {"array_nulls": "off"},
    {"bytea_output": "escape"},
    {"plan_cache_mode": "force_generic_plan"},
    {"plan_cache_mode": "force_custom_plan", "enable_indexscan": "off", "enable_bitmapscan": "off"},
    {"enable_seqscan": "off", "work_mem": "64kB", "jit_above_cost": "0"},
    {"row_security": "off"},
    {"default_transaction_isolation": "serializable"},  # for the next transaction, and none of this one's business
    {"search_path": ""},
    {"search_path": "hostile, pg_temp, pg_catalog, public"},
]

HOSTILE = """
    CREATE SCHEMA hostile;
    GRANT USAGE ON SCHEMA hostile TO app;
    CREATE TABLE hostile.cost_tracking (LIKE public.cost_tracking);
    CREATE TABLE hostile.system_config (LIKE public.system_config);
    CREATE TABLE hostile.escalations (LIKE public.escalations);
    CREATE TEMPORARY TABLE cost_tracking (LIKE public.cost_tracking);
    CREATE TEMPORARY TABLE system_config (LIKE public.system_config);
    INSERT INTO hostile.system_config (key, value) VALUES ('budget_limits', '{"emergency_kill": 1e9}');
    INSERT INTO pg_temp.system_config (key, value) VALUES ('budget_limits', '{"emergency_kill": 1e9}');
    CREATE FUNCTION hostile.never(numeric, numeric) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
    CREATE FUNCTION hostile.never(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
    CREATE OPERATOR hostile.> (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = hostile.never);
    CREATE OPERATOR hostile.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.never);
    CREATE FUNCTION hostile.coalesce_zero(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN 0;
    CREATE AGGREGATE hostile.sum (numeric) (SFUNC = hostile.coalesce_zero, STYPE = numeric, INITCOND = '0');
    CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql IMMUTABLE RETURN to_timestamp(0);
    CREATE FUNCTION hostile.gen_random_uuid() RETURNS uuid LANGUAGE sql IMMUTABLE RETURN NULL::uuid;
"""


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_answer_and_every_row_is_the_same(caller: Connection, settings: dict[str, str]) -> None:
    with as_owner(caller):
        caller.execute(HOSTILE.encode())
    Clock(caller, NOON)
    with caller.transaction(force_rollback=True):
        wanted = life(caller)
    for name, value in settings.items():
        caller.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])
    assert life(caller) == wanted
