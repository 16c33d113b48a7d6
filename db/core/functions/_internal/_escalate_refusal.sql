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
    v_subject text := coalesce('work order ' || p_work_order_id, p_service_name);
BEGIN
    PERFORM budget._escalate_once(
        'budget_refused', v_day, v_subject, 'critical',
        format(
            'Daily budget limit: %s was refused (%s). Settled and held %s, estimate %s, limit %s.',
            v_subject, p_verdict.reason, p_verdict.current_total, p_estimate, p_verdict.limit_amount
        ),
        jsonb_build_object(
            'verdict_reason', p_verdict.reason,
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
) IS 'One escalation per subject (a service, or a work order) and day for a refusal, with the figures behind it.';
