-- Judged by state, as the day's caps are. The day's own caps are core's.
CREATE OR REPLACE FUNCTION budget._escalate_balance(p_config budget._config, p_match budget._match)
RETURNS void
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
        PERFORM budget._escalate_once(
            'budget_threshold',
            (budget._window(budget._now(), p_config.timezone)).day,
            concat_ws('/', p_match.budget, budget._iso(p_match.starts_at), v_reached.amount, p_match.member),
            v_reached.severity,
            format(
                'Budget %s, member %s, has reached %s: settled and held %s, limit %s.',
                p_match.budget, p_match.member, v_reached.amount, v_total, p_match.limit_amount
            ),
            jsonb_build_object(
                'budget', p_match.budget,
                'member', p_match.member,
                'threshold', v_reached.amount::text,
                'current_total', v_total::text,
                'limit_amount', p_match.limit_amount::text
            ),
            NULL
        );
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_balance(budget._config, budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_balance(budget._config, budget._match) IS
'One escalation per threshold, window and day for a balance that is at or above it.';
