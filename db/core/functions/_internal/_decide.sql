CREATE OR REPLACE FUNCTION budget._decide(
    p_config budget._config,
    p_amount numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_hold public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_verdict budget.verdict := budget._headroom(p_config, p_amount, p_service_name, p_metadata, p_now, p_hold);
BEGIN
    IF p_config.frozen THEN
        v_verdict.can_proceed := false;
        v_verdict.reason := 'frozen';
        v_verdict.retry_at := NULL;
    ELSIF p_config.exempt_services ? p_service_name THEN
        v_verdict.can_proceed := true;
        v_verdict.reason := 'granted';
        v_verdict.retry_at := NULL;
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._decide(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._decide(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'The verdict on an amount: the headroom, the freeze that refuses everyone, and the services that no limit refuses.';
