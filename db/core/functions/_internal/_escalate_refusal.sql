CREATE OR REPLACE FUNCTION budget._escalate_refusal(
    p_config budget._config,
    p_verdict budget.verdict,
    p_estimate numeric,
    p_service_name text,
    p_request jsonb,
    p_at timestamptz,
    p_work_order_id uuid
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_day text := to_char((budget._window(p_at, p_config.timezone)).day, 'YYYY-MM-DD');
    v_who text := coalesce('work order ' || p_work_order_id, p_service_name);
    v_member text := '*';
    v_budget text := 'Daily budget limit';
BEGIN
    IF p_verdict.budget <> 'daily' THEN
        -- In core there is no table of budgets.
        EXECUTE format(
            'SELECT budget._member(b.dimension, $1, $2) FROM %I.budgets AS b WHERE b.name = $3', 'budget'
        )
        INTO v_member
        USING p_service_name, p_request, p_verdict.budget;
        v_budget := format('Budget %s, member %s', p_verdict.budget, v_member);
    END IF;
    PERFORM budget._escalate_once(
        'budget_refused', v_day, p_verdict.budget, ARRAY[v_who, v_member], 'critical',
        format(
            '%s: %s was refused (%s). Settled and held %s, estimate %s, limit %s.',
            v_budget, v_who, p_verdict.reason, p_verdict.current_total, p_estimate, p_verdict.limit_amount
        ),
        jsonb_build_object(
            'verdict_reason', p_verdict.reason,
            'service_name', p_service_name,
            'budget', p_verdict.budget,
            'member', v_member,
            'current_total', p_verdict.current_total::text,
            'estimated_cost', p_estimate::text,
            'limit_amount', p_verdict.limit_amount::text,
            'remaining', p_verdict.remaining::text
        ),
        p_work_order_id,
        format(
            'The budget has refused %%s different services, work orders or members on %s. More of that day are not '
            'listed, but for the first refusal of each other budget.',
            v_day
        )
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_refusal(
    budget._config, budget.verdict, numeric, text, jsonb, timestamptz, uuid
) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_refusal(
    budget._config, budget.verdict, numeric, text, jsonb, timestamptz, uuid
) IS
'One escalation per service (or work order), budget, member and day for a refusal, with the figures behind it. After
1000 of a day one says that more are not listed.';
