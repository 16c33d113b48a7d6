CREATE OR REPLACE FUNCTION budget._hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamptz)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN jsonb_build_object(
        'type', 'reservation',
        'original_metadata', p_metadata,
        'requested_cost', p_estimate::text,
        'estimated_cost', p_estimate::text,
        'reserved_at', budget._iso(p_now)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._hold_metadata(numeric, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._hold_metadata(numeric, jsonb, timestamptz) IS 'The metadata that a hold begins with.';
