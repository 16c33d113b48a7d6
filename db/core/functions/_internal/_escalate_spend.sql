CREATE OR REPLACE FUNCTION budget._escalate_spend(
    p_config budget._config,
    p_total numeric,
    p_row public.cost_tracking
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_total IS NULL THEN
        RETURN;
    END IF;
    PERFORM budget._escalate_caps(p_config, p_total, p_row.created_at);
    IF budget._over_limit(p_config, p_total) THEN
        PERFORM budget._escalate_once(
            'budget_overrun',
            to_char((budget._window(p_row.created_at, p_config.timezone)).day, 'YYYY-MM-DD'),
            'daily',
            ARRAY[p_row.id::text],
            'critical',
            format(
                'The day''s budget is overrun: %s spent %s and leaves the day at %s of %s.',
                p_row.service_name, p_row.cost, p_total, p_config.emergency_kill
            ),
            jsonb_build_object(
                'service_name', p_row.service_name,
                'estimated_cost', p_row.metadata ->> 'estimated_cost',
                'actual_cost', p_row.cost::text,
                'current_total', p_total::text,
                'limit_amount', p_config.emergency_kill::text
            ),
            NULL,
            NULL
        );
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_spend(budget._config, numeric, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_spend(budget._config, numeric, public.cost_tracking) IS
'Escalates the caps that the total has reached, and the row that took it above the limit.';
