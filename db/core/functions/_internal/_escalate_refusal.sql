CREATE OR REPLACE FUNCTION budget._escalate_refusal(
    p_config budget._config,
    p_verdict budget.verdict,
    p_estimate numeric,
    p_service_name text,
    p_at timestamptz,
    p_work_order_id uuid
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_day date := w.day FROM budget._window(p_at, p_config.timezone) AS w;
    v_budget text := CASE p_verdict.budget WHEN 'daily' THEN 'Daily budget limit' ELSE 'Budget ' || p_verdict.budget END;
    v_who text := coalesce('work order ' || p_work_order_id, p_service_name);
    v_subject text := v_who || CASE p_verdict.budget WHEN 'daily' THEN '' ELSE ' in ' || p_verdict.budget END;
BEGIN
    PERFORM budget._escalate_once(
        'budget_refused', v_day, v_subject, 'critical',
        format(
            '%s: %s was refused (%s). Settled and held %s, estimate %s, limit %s.',
            v_budget, v_who, p_verdict.reason, p_verdict.current_total, p_estimate, p_verdict.limit_amount
        ),
        jsonb_build_object(
            'verdict_reason', p_verdict.reason,
            'budget', p_verdict.budget,
            'current_total', p_verdict.current_total::text,
            'estimated_cost', p_estimate::text,
            'limit_amount', p_verdict.limit_amount::text,
            'remaining', p_verdict.remaining::text
        ),
        p_work_order_id
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_refusal(
    budget._config, budget.verdict, numeric, text, timestamptz, uuid
) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_refusal(
    budget._config, budget.verdict, numeric, text, timestamptz, uuid
) IS
'One escalation per subject (a service, or a work order), budget and day for a refusal, with the figures behind it.';
