-- Judged by state, as the day's caps are. The day's own caps are core's.
CREATE OR REPLACE FUNCTION budget._escalate_balance(
    p_config budget._config,
    p_budget text,
    p_member text,
    p_starts_at timestamptz
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_reached record;
BEGIN
    FOR v_reached IN
        SELECT t.amount, t.severity, a.amount AS total, b.limit_amount
        FROM budget.budgets AS b
        INNER JOIN budget.balances AS a ON b.name = a.budget
        CROSS JOIN LATERAL (
            SELECT s.amount, 'warning' FROM unnest(b.soft_limits) AS s (amount)
            UNION ALL
            SELECT b.limit_amount, 'critical'
        ) AS t (amount, severity)
        WHERE
            b.name = p_budget AND a.member = p_member AND a.starts_at = p_starts_at AND t.amount <= a.amount
    LOOP
        PERFORM budget._escalate_once(
            'budget_threshold',
            (budget._window(budget._now(), p_config.timezone)).day,
            concat_ws('/', p_budget, p_starts_at, v_reached.amount, p_member),
            v_reached.severity,
            format(
                'Budget %s, member %s, has reached %s: settled and held %s, limit %s.',
                p_budget, p_member, v_reached.amount, v_reached.total, v_reached.limit_amount
            ),
            jsonb_build_object(
                'budget', p_budget,
                'member', p_member,
                'threshold', v_reached.amount::text,
                'current_total', v_reached.total::text,
                'limit_amount', v_reached.limit_amount::text
            ),
            NULL
        );
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_balance(budget._config, text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_balance(budget._config, text, text, timestamptz) IS
'One escalation per threshold, window and day for a balance that is at or above it.';
