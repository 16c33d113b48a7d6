CREATE OR REPLACE FUNCTION budget._replay(
    p_config budget._config,
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_row public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_first jsonb := jsonb_build_object(
        'estimated_cost', p_row.metadata -> 'requested_cost',
        'service_name', p_row.service_name,
        'metadata', p_row.metadata -> 'original_metadata'
    );
    v_now jsonb := jsonb_build_object(
        'estimated_cost', p_estimate::text,
        'service_name', p_service_name,
        'metadata', p_metadata
    );
    v_verdict budget.verdict;
BEGIN
    IF (p_row.metadata ->> 'requested_cost')::numeric IS DISTINCT FROM p_estimate
        OR v_first - 'estimated_cost' <> v_now - 'estimated_cost'
    THEN
        RAISE EXCEPTION 'the reservation id % was used before with other arguments', p_row.id
            USING ERRCODE = 'PB003',
            DETAIL = format('First: %s. Now: %s.', v_first, v_now),
            HINT = 'Repeat a reservation with the arguments it was made with, or take a new id.';
    END IF;
    v_verdict := budget._headroom(p_config, 0, p_service_name, p_metadata, p_now, p_row);
    v_verdict.can_proceed := coalesce(p_row.expires_at > p_now, false);
    v_verdict.reason := CASE WHEN v_verdict.can_proceed THEN 'replayed' ELSE 'ended' END;
    v_verdict.retry_at := NULL;
    IF v_verdict.can_proceed THEN
        v_verdict.reservation_id := p_row.id;
        v_verdict.expires_at := p_row.expires_at;
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._replay(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._replay(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'The verdict on an id that is in the ledger already: replayed while its hold is open, else ended. Errors: PB003.';
