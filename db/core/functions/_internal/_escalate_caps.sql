-- Judged by state, not by edge: spend that was written directly never crosses an edge that a function could see.
CREATE OR REPLACE FUNCTION budget._escalate_caps(
    p_config budget._config,
    p_total numeric,
    p_at timestamptz
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_day text;
    v_cap record;
BEGIN
    -- least() passes over the caps that are absent. The common case ends here.
    IF p_total IS NULL OR p_total < least(p_config.daily_soft_cap, p_config.daily_hard_cap, p_config.emergency_kill) THEN
        RETURN;
    END IF;
    v_day := to_char((budget._window(p_at, p_config.timezone)).day, 'YYYY-MM-DD');
    FOR v_cap IN
        SELECT *
        FROM (
            VALUES
            ('daily_soft_cap', p_config.daily_soft_cap, 'warning'),
            ('daily_hard_cap', p_config.daily_hard_cap, 'high'),
            ('emergency_kill', p_config.emergency_kill, 'critical')
        ) AS c (name, amount, severity)
        WHERE c.amount <= p_total
    LOOP
        PERFORM budget._escalate_once(
            'budget_' || v_cap.name, v_day, 'daily', ARRAY['daily'], v_cap.severity,
            format(
                'The day''s budget has reached its %s: settled and held %s, %s %s, limit %s.',
                v_cap.name, p_total, v_cap.name, v_cap.amount, p_config.emergency_kill
            ),
            jsonb_build_object(
                'current_total', p_total::text,
                'cap', v_cap.amount::text,
                'limit_amount', p_config.emergency_kill::text
            ),
            NULL,
            NULL
        );
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_caps(budget._config, numeric, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_caps(budget._config, numeric, timestamptz) IS
'One escalation per cap and day for a day whose total (settled and held) is at or above the cap.';
