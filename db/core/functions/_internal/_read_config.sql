CREATE OR REPLACE FUNCTION budget._read_config()
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_value text;
    v_freeze text;
    v_limits jsonb;
    v_config budget._config;
BEGIN
    SELECT
        max(c.value) FILTER (WHERE c.key = 'budget_limits'),
        max(c.value) FILTER (WHERE c.key = 'budget_freeze')
    INTO v_value, v_freeze
    FROM public.system_config AS c
    WHERE c.key IN ('budget_limits', 'budget_freeze');

    BEGIN
        v_limits := v_value::jsonb;
    EXCEPTION WHEN data_exception THEN
        v_limits := NULL; -- not JSON: reported as "must be a JSON object"
    END;
    v_config := budget._parse_config(v_limits);
    IF v_value IS NULL THEN
        v_config.error := 'system_config has no row with the key budget_limits';
    END IF;
    -- The row's presence freezes, whatever it holds: a damaged kill switch stays on.
    v_config.frozen := v_freeze IS NOT NULL;
    RETURN v_config;
END
$function$;

REVOKE ALL ON FUNCTION budget._read_config() FROM PUBLIC;
COMMENT ON FUNCTION budget._read_config() IS
'The limits and the freeze as they stand in system_config now. Never fails.';
