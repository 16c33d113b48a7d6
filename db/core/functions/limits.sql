CREATE OR REPLACE FUNCTION budget.limits()
RETURNS TABLE (
    daily_soft_cap numeric,
    daily_hard_cap numeric,
    emergency_kill numeric,
    timezone text,
    reservation_ttl interval,
    on_expiry text,
    exempt_services text[]
)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_config budget._config := budget._require_config();
BEGIN
    daily_soft_cap := v_config.daily_soft_cap;
    daily_hard_cap := v_config.daily_hard_cap;
    emergency_kill := v_config.emergency_kill;
    timezone := v_config.timezone;
    reservation_ttl := v_config.reservation_ttl;
    on_expiry := v_config.on_expiry;
    exempt_services := ARRAY(SELECT jsonb_array_elements_text(v_config.exempt_services));
    RETURN NEXT;
END
$function$;

REVOKE ALL ON FUNCTION budget.limits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.limits() TO budget_caller, budget_admin, budget_reader;
COMMENT ON FUNCTION budget.limits() IS
'The limits in force. One row, a column per key of system_config.budget_limits; amounts in the currency of the limits,
NULL for a cap that is absent.
Errors: PB005 broken configuration. Locks: none.';
