CREATE OR REPLACE FUNCTION budget._counted(p_config budget._config, p_now timestamptz, p_row public.cost_tracking)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_row.expires_at <= p_now AND p_config.on_expiry = 'release' THEN
        RETURN 0::numeric;
    END IF;
    RETURN coalesce(p_row.cost, 0);
END
$function$;

REVOKE ALL ON FUNCTION budget._counted(budget._config, timestamptz, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._counted(budget._config, timestamptz, public.cost_tracking) IS
'What a ledger row counts in its window at this instant; 0 for no row.';
