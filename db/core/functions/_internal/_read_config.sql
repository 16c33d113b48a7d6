CREATE OR REPLACE FUNCTION budget._read_config()
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_value text;
    v_frozen boolean;
    v_config budget._config;
BEGIN
    -- The row's presence freezes, whatever it holds: a damaged kill switch stays on.
    SELECT
        (SELECT c.value FROM public.system_config AS c WHERE c.key = 'budget_limits'),
        EXISTS (SELECT FROM public.system_config AS c WHERE c.key = 'budget_freeze')
    INTO v_value, v_frozen;
    v_config := budget._parse_config(v_value);
    v_config.frozen := v_frozen;
    RETURN v_config;
END
$function$;

REVOKE ALL ON FUNCTION budget._read_config() FROM PUBLIC;
COMMENT ON FUNCTION budget._read_config() IS
'The limits and the freeze as they stand in system_config now. Never fails.';
