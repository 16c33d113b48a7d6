-- The limit of the day is core's. A raise ends by itself: nothing is written when its time has come.
CREATE OR REPLACE FUNCTION budget._limit(p_config budget._config, p_budget budget.budgets, p_now timestamptz)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_budget.name = 'daily' THEN
        RETURN p_config.emergency_kill;
    END IF;
    RETURN p_budget.limit_amount + CASE WHEN p_now < p_budget.extra_until THEN p_budget.extra ELSE 0 END;
END
$function$;

REVOKE ALL ON FUNCTION budget._limit(budget._config, budget.budgets, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._limit(budget._config, budget.budgets, timestamptz) IS
'The limit of a budget that is in force at an instant, a temporary raise included.';
