"""The public functions as callers know them: names, arguments and results are the interface."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.pgtap import (
    function_args_are,
    function_privs_are,
    function_returns,
    function_settings_are,
    is_definer,
    is_empty,
    results_eq,
    volatility_is,
)
from tests.rows import Connection, rows
from tests.series import by_series

SEARCH_PATH = "search_path=pg_catalog, pg_temp"
NO_ROW_SECURITY = "row_security=off"
WITHOUT_TABLES = {"budget.estimate", "budget.version", "budget.detect_hard_stop"}
"""These read no table, so that there is no sum that a policy could filter."""

RESERVE_ARGS = (
    "p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb, "
    "p_reservation_id uuid DEFAULT NULL::uuid, p_ttl interval DEFAULT NULL::interval"
)
LIMITS = (
    "TABLE(daily_soft_cap numeric, daily_hard_cap numeric, emergency_kill numeric, timezone text, "
    "reservation_ttl interval, on_expiry text, exempt_services text[])"
)
FREEZE = "TABLE(frozen boolean, reason text, since timestamp with time zone)"


class Public(NamedTuple):
    name: str
    args: str
    returns: str
    volatility: str


FUNCTIONS = [
    Public(
        "public.check_and_reserve_budget",
        "p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb",
        "TABLE(can_proceed boolean, current_total numeric, reservation_id uuid)",
        "volatile",
    ),
    Public("budget.reserve", RESERVE_ARGS, "SETOF budget.verdict", "volatile"),
    Public("budget.reserve_advisory", RESERVE_ARGS, "SETOF budget.verdict", "volatile"),
    Public(
        "budget.check",
        "p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb",
        "SETOF budget.verdict",
        "stable",
    ),
    Public(
        "budget.extend",
        "p_reservation_id uuid, p_new_estimate numeric DEFAULT NULL::numeric, p_ttl interval DEFAULT NULL::interval",
        "SETOF budget.verdict",
        "volatile",
    ),
    Public(
        "budget.settle",
        "p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb DEFAULT '{}'::jsonb",
        "SETOF budget.outcome",
        "volatile",
    ),
    Public(
        "budget.cancel", "p_reservation_id uuid, p_reason text DEFAULT NULL::text", "SETOF budget.outcome", "volatile"
    ),
    Public(
        "budget.record",
        "p_actual_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb, "
        "p_id uuid DEFAULT NULL::uuid",
        "SETOF budget.outcome",
        "volatile",
    ),
    Public("budget.expire", "p_limit integer DEFAULT 1000", "TABLE(expired integer, released numeric)", "volatile"),
    Public("budget.estimate", "p_complexity_score numeric, p_hard_stop_required boolean", "numeric", "immutable"),
    Public(
        "budget.estimate_tokens",
        "p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint",
        "numeric",
        "stable",
    ),
    Public(
        "budget.estimate_from_history",
        "p_service_name text, p_quantile numeric DEFAULT 0.9, p_since interval DEFAULT '30 days'::interval",
        "TABLE(estimate numeric, samples bigint)",
        "stable",
    ),
    Public("budget.limits", "", LIMITS, "stable"),
    Public("budget.set_limits", "p_limits jsonb", LIMITS, "volatile"),
    Public("budget.freeze", "p_reason text", FREEZE, "volatile"),
    Public("budget.unfreeze", "", FREEZE, "volatile"),
    Public("budget.detect_hard_stop", "p_task_description text", "boolean", "immutable"),
    Public(
        "budget.route_work_order",
        "p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, "
        "p_approved_by_director boolean",
        "jsonb",
        "volatile",
    ),
    Public(
        "budget.retry_strategy", "p_current_proposer text, p_attempt integer, p_failure_reason text", "jsonb", "stable"
    ),
    Public(
        "budget.escalate",
        "p_component text, p_operation text, p_error text, p_work_order_id uuid DEFAULT NULL::uuid, "
        "p_severity text DEFAULT 'critical'::text, p_metadata jsonb DEFAULT '{}'::jsonb",
        "uuid",
        "volatile",
    ),
    Public("budget.version", "", "text", "immutable"),
]

BUDGET = "SETOF budget.budgets"

FUNCTIONS += by_series(
    core=[],
    budgets=[
        Public(
            "budget.set_budget",
            "p_name text, p_limit numeric, p_dimension text DEFAULT '*'::text, p_member text DEFAULT NULL::text, "
            "p_period text DEFAULT 'day'::text, p_timezone text DEFAULT NULL::text, "
            "p_soft_limits numeric[] DEFAULT '{}'::numeric[], p_enforcement text DEFAULT 'block'::text, "
            "p_active boolean DEFAULT true, p_slots integer DEFAULT 1, p_extra numeric DEFAULT NULL::numeric, "
            "p_until timestamp with time zone DEFAULT NULL::timestamp with time zone",
            BUDGET,
            "volatile",
        ),
        Public("budget.drop_budget", "p_name text", BUDGET, "volatile"),
        Public(
            "budget.reconcile",
            "",
            "TABLE(budget text, member text, starts_at timestamp with time zone, balance numeric, ledger numeric)",
            "volatile",
        ),
        Public(
            "budget.prune",
            "p_before timestamp with time zone DEFAULT NULL::timestamp with time zone",
            "bigint",
            "volatile",
        ),
        Public("budget.reserve_many", "p_requests jsonb", "SETOF budget.verdict", "volatile"),
        Public("budget.settle_many", "p_settlements jsonb", "SETOF budget.outcome", "volatile"),
    ],
)

OURS = """(
    SELECT * FROM pg_proc AS p
     WHERE p.pronamespace = 'budget'::regnamespace
        OR p.oid = 'public.check_and_reserve_budget(numeric, text, jsonb)'::regprocedure
) AS ours"""


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_is_as_documented(tx: Connection, function: Public) -> None:
    [(signature, comment)] = rows(
        tx,
        """SELECT p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc')
             FROM pg_proc AS p
            WHERE p.oid = to_regproc(%s)""",  # finds a name only where it has no overloads
        function.name,
    )
    function_args_are(tx, signature, function.args)
    function_returns(tx, signature, function.returns)
    volatility_is(tx, signature, function.volatility)
    is_definer(tx, signature)
    function_settings_are(
        tx, signature, [SEARCH_PATH] if function.name in WITHOUT_TABLES else [SEARCH_PATH, NO_ROW_SECURITY]
    )
    function_privs_are(tx, signature, "public", [])
    assert comment
    undocumented = [argument for argument in function.args.split() if argument.startswith("p_")]
    assert [argument for argument in undocumented if argument not in comment] == []


def test_no_other_function_is_public_and_none_has_overloads(tx: Connection) -> None:
    results_eq(
        tx,
        rf"""SELECT format('%s.%s', pronamespace::regnamespace, proname) FROM {OURS}
              WHERE proname NOT LIKE '\_%' ORDER BY 1""",
        sorted((function.name,) for function in FUNCTIONS),
    )


def test_every_function_pins_its_search_path_and_is_kept_from_public(tx: Connection) -> None:
    is_empty(
        tx,
        f"""SELECT oid::regprocedure::text FROM {OURS}
             WHERE ('{SEARCH_PATH}' = ANY (proconfig)) IS NOT TRUE
                OR has_function_privilege('public', oid, 'EXECUTE')""",
    )


def test_no_function_notifies(tx: Connection) -> None:
    """A NOTIFY would make commits wait for each other."""
    is_empty(tx, f"SELECT proname FROM {OURS} WHERE prosrc ~* 'notify'")


VERDICT = (
    "can_proceed boolean, current_total numeric, reservation_id uuid, reason text, budget text, "
    "limit_amount numeric, remaining numeric, resets_at timestamp with time zone, "
    "retry_at timestamp with time zone, expires_at timestamp with time zone"
)
OUTCOME = (
    "reservation_id uuid, status text, estimated_cost numeric, actual_cost numeric, over_limit boolean, late boolean"
)


@pytest.mark.parametrize(("type_name", "columns"), [("budget.verdict", VERDICT), ("budget.outcome", OUTCOME)])
def test_columns_of_the_answers(tx: Connection, type_name: str, columns: str) -> None:
    results_eq(
        tx,
        """SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
             FROM pg_attribute AS a
             JOIN pg_class AS c ON c.oid = a.attrelid
            WHERE c.reltype = to_regtype(%s) AND a.attnum > 0""",
        [(columns,)],
        [type_name],
    )
