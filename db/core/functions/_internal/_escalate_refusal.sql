CREATE OR REPLACE FUNCTION budget._escalate_refusal(
    p_decision budget._decision,
    p_verdict budget.verdict,
    p_estimate numeric,
    p_service_name text,
    p_work_order_id uuid
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_day text := to_char(
        (budget._day((p_decision.standings[1]).starts_at, (p_decision.policy).timezone)).day, 'YYYY-MM-DD'
    );
    v_who text := coalesce('work order ' || p_work_order_id, p_service_name);
BEGIN
    PERFORM budget._escalate_once(
        'budget_refused', v_day, p_verdict.budget, ARRAY[v_who, p_verdict.member], 'critical',
        format(
            '%s: %s was refused (%s). Settled and held %s, estimate %s, limit %s.',
            CASE p_verdict.budget
                WHEN 'daily' THEN 'Daily budget limit'
                ELSE format('Budget %s, member %s', p_verdict.budget, p_verdict.member)
            END,
            v_who, p_verdict.reason, p_verdict.current_total, p_estimate, p_verdict.limit_amount
        ),
        jsonb_build_object(
            'verdict_reason', p_verdict.reason,
            'service_name', p_service_name,
            'budget', p_verdict.budget,
            'member', p_verdict.member,
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

REVOKE ALL ON FUNCTION budget._escalate_refusal(budget._decision, budget.verdict, numeric, text, uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_refusal(budget._decision, budget.verdict, numeric, text, uuid) IS
'One escalation per service (or work order), budget, member and day for a refusal, with the figures behind it.';
