CREATE OR REPLACE FUNCTION budget._insert_hold(
    p_verdict budget.verdict,
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO public.cost_tracking (id, service_name, cost, metadata, created_at, expires_at)
    VALUES (
        p_verdict.reservation_id,
        p_service_name,
        p_estimate,
        jsonb_build_object(
            'type', 'reservation',
            'original_metadata', p_metadata,
            'requested_cost', p_estimate::text,
            'estimated_cost', p_estimate::text,
            'reserved_at', budget._iso(p_now)
        ),
        p_now,
        p_verdict.expires_at
    )
    ON CONFLICT (id) DO NOTHING;
    -- Under the advisory lock a direct writer can take the id between our look and our insert.
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the reservation id % was taken by another writer meanwhile', p_verdict.reservation_id
            USING ERRCODE = 'PB003',
            DETAIL = 'A ledger row with this id was written outside budget.reserve.',
            HINT = 'Take a new id.';
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_hold(budget.verdict, numeric, text, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_hold(budget.verdict, numeric, text, jsonb, timestamptz) IS
'Writes the hold of a granted verdict into the ledger. Errors: PB003 when the id was taken meanwhile.';
