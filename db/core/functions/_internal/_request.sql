CREATE OR REPLACE FUNCTION budget._request(p_metadata jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coalesce(p_metadata -> 'original_metadata', p_metadata);
END
$function$;

REVOKE ALL ON FUNCTION budget._request(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._request(jsonb) IS
'The metadata that a ledger row was asked for with: a direct writer''s row holds them as they are.';
