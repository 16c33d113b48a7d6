CREATE OR REPLACE FUNCTION budget._hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamptz)
RETURNS jsonb
LANGUAGE sql
STABLE
AS $function$
    SELECT jsonb_build_object(
        'type', 'reservation',
        'original_metadata', p_metadata,
        'requested_cost', p_estimate::text,
        'estimated_cost', p_estimate::text,
        'reserved_at', budget._iso(p_now)
    )
$function$;

REVOKE ALL ON FUNCTION budget._hold_metadata(numeric, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._hold_metadata(numeric, jsonb, timestamptz) IS 'The metadata that a hold begins with.';
