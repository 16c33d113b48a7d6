CREATE OR REPLACE FUNCTION budget._settlement(p_config budget._config, p_total numeric, p_metadata jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN p_metadata || jsonb_build_object(
        'type', 'actual',
        'over_limit', budget._over_limit(p_config, p_total)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._settlement(budget._config, numeric, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._settlement(budget._config, numeric, jsonb) IS
'What settling adds to a hold''s metadata: what it was settled with, and whether this left its day (p_total) over the
limit.';
