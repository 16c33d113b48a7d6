CREATE OR REPLACE FUNCTION budget._refuse_policy(p_error text)
RETURNS budget._policy
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'the budget configuration is broken: nothing can be reserved'
        USING ERRCODE = 'PB005',
        DETAIL = p_error,
        HINT = 'Mend it with budget.set_limits(...) or in system_config, key budget_limits.';
END
$function$;

REVOKE ALL ON FUNCTION budget._refuse_policy(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._refuse_policy(text) IS 'Raises PB005 with what is wrong with the limits.';
