CREATE OR REPLACE FUNCTION budget._insert_hold(
    p_id uuid,
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_expires_at timestamptz
)
RETURNS uuid
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO public.cost_tracking (id, service_name, cost, metadata, created_at, expires_at)
    VALUES (
        p_id,
        p_service_name,
        p_estimate,
        budget._hold_metadata(p_estimate, p_metadata, p_now),
        p_now,
        p_expires_at
    )
    ON CONFLICT (id) DO NOTHING;
    RETURN CASE WHEN FOUND THEN p_id END;
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_hold(uuid, numeric, text, jsonb, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_hold(uuid, numeric, text, jsonb, timestamptz, timestamptz) IS
'Writes a hold into the ledger and returns its id; NULL when a row with this id is there.';
