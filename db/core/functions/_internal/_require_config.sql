-- Fail closed: whoever decides about money needs limits that hold.
CREATE OR REPLACE FUNCTION budget._require_config()
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_config budget._config := budget._read_config();
BEGIN
    IF v_config.error IS NOT NULL THEN
        RAISE EXCEPTION 'the budget configuration is broken: nothing can be reserved'
            USING ERRCODE = 'PB005',
            DETAIL = v_config.error,
            HINT = 'Mend it with budget.set_limits(...) or in system_config, key budget_limits.';
    END IF;
    RETURN v_config;
END
$function$;

REVOKE ALL ON FUNCTION budget._require_config() FROM PUBLIC;
COMMENT ON FUNCTION budget._require_config() IS 'The limits in force. Errors: PB005 when the configuration is broken.';
