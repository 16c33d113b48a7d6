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
DECLARE
    v_asked public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    v_asked.id := p_id;
    v_asked.service_name := p_service_name;
    v_asked.cost := p_estimate;
    v_asked.metadata := budget._hold_metadata(p_estimate, p_metadata, p_now);
    v_asked.created_at := p_now;
    v_asked.expires_at := p_expires_at;
    INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at, expires_at)
    VALUES (p_id, p_service_name, p_estimate, v_asked.metadata, p_now, p_expires_at)
    ON CONFLICT (id) DO NOTHING
    RETURNING l.* INTO v_row;
    IF NOT FOUND AND budget._is_taken(p_id) THEN
        RETURN NULL;
    END IF;
    PERFORM budget._require_kept(v_asked, v_row);
    RETURN p_id;
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_hold(uuid, numeric, text, jsonb, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_hold(uuid, numeric, text, jsonb, timestamptz, timestamptz) IS
'Writes a hold into the ledger and returns its id; NULL when a row with this id is there. Errors: PB006.';
