-- No decision lock: the money is spent, whatever the answer. What this sees of others is a committed reading.
CREATE OR REPLACE FUNCTION budget._total_after(
    p_config budget._config,
    p_actual numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_hold public.cost_tracking
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_counted numeric := budget._counted(p_config, p_now, p_hold);
    v_before budget.verdict;
BEGIN
    IF p_config.error IS NOT NULL OR p_actual <= v_counted THEN
        RETURN NULL;
    END IF;
    v_before := budget._headroom(p_config, 0, p_service_name, p_metadata, p_now, p_hold);
    RETURN v_before.current_total - v_counted + p_actual;
END
$function$;

REVOKE ALL ON FUNCTION budget._total_after(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._total_after(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'The total of the window once the amount is booked; NULL where it need not be summed, because the amount is no more than
the hold counts, or cannot be, because the configuration is broken.';
