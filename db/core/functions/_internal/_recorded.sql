CREATE OR REPLACE FUNCTION budget._recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb)
RETURNS public.cost_tracking
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row public.cost_tracking;
BEGIN
    SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = p_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF v_row.metadata ? 'recorded_at'
        AND v_row.cost = p_actual
        AND v_row.service_name = p_service_name
        AND v_row.metadata -> 'original_metadata' = p_metadata
    THEN
        RETURN v_row;
    END IF;
    RAISE EXCEPTION 'the id % was used before with other arguments', p_id
        USING ERRCODE = 'PB003',
        DETAIL = format(
            'In the ledger: %s of service %s, metadata %s. Now: %s of service %s, metadata %s.',
            v_row.cost, v_row.service_name, v_row.metadata, p_actual, p_service_name, p_metadata
        ),
        HINT = 'Repeat a record with the arguments it was made with, or take a new id.';
END
$function$;

REVOKE ALL ON FUNCTION budget._recorded(uuid, numeric, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._recorded(uuid, numeric, text, jsonb) IS
'The spend that was recorded with this id and these arguments before; NULL when no row has the id any more.
Errors: PB003 when the arguments differ.';
