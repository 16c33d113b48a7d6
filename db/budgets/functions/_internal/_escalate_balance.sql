-- Judged by state, as the day's caps are. The day's own caps are core's.
CREATE OR REPLACE FUNCTION budget._escalate_balance(p_config budget._config, p_match budget._match)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_booked numeric := budget._booked(
        p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at
    );
    v_total numeric;
    v_reached record;
    v_told boolean := false;
BEGIN
    FOR v_reached IN
        SELECT t.amount, t.severity
        FROM (
            SELECT s.amount, 'warning'
            FROM budget.budgets AS b
            CROSS JOIN LATERAL unnest(b.soft_limits) AS s (amount)
            WHERE b.name = p_match.budget
            UNION ALL
            SELECT p_match.limit_amount, 'critical'
        ) AS t (amount, severity)
        WHERE t.amount <= v_booked
    LOOP
        -- Lapsed holds are looked for only where it may make a difference: one statement may write for many members.
        v_total := coalesce(v_total, budget._balance(
            p_config, p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at, budget._now()
        ));
        CONTINUE WHEN v_reached.amount > v_total;
        v_told := budget._escalate_once(
            'budget_threshold',
            coalesce(budget._iso(p_match.starts_at), 'ever'),
            p_match.budget,
            ARRAY[p_match.budget, p_match.member, trim_scale(v_reached.amount)::text],
            v_reached.severity,
            format(
                'Budget %s, member %s, has reached %s: settled and held %s, limit %s.',
                p_match.budget, p_match.member, v_reached.amount, v_total, p_match.limit_amount
            ),
            jsonb_build_object(
                'day', (budget._window(budget._now(), p_config.timezone)).day,
                'starts_at', budget._iso(p_match.starts_at),
                'budget', p_match.budget,
                'member', p_match.member,
                'threshold', v_reached.amount::text,
                'current_total', v_total::text,
                'limit_amount', p_match.limit_amount::text
            ),
            NULL,
            NULL
        ) OR v_told;
    END LOOP;
    RETURN v_told;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_balance(budget._config, budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_balance(budget._config, budget._match) IS
'One escalation per threshold and window for a balance that is at or above it. Was there one to be written?';
