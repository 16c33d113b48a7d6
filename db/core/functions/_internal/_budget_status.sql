CREATE OR REPLACE FUNCTION budget._budget_status(p_config budget._config, p_total numeric)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN CASE
        WHEN p_total >= p_config.emergency_kill THEN 'emergency_kill'
        WHEN p_total >= p_config.daily_hard_cap THEN 'hard_cap_exceeded'
        WHEN p_total >= p_config.daily_soft_cap THEN 'warning'
        ELSE 'normal'
    END;
END
$function$;

REVOKE ALL ON FUNCTION budget._budget_status(budget._config, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._budget_status(budget._config, numeric) IS 'Which of the caps the day''s total has reached.';
