CREATE OR REPLACE FUNCTION budget._replay(
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_row public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
VOLATILE
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
    v_decision budget._decision;
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
    v_decision := budget._standings(ARRAY[ROW(p_service_name, p_metadata, p_row.created_at, 0)::budget._request], NULL);
    v_verdict := budget._standing_verdict(v_decision.standings[1], 'replayed');
    IF p_row.expires_at > v_decision.decided_at THEN
        v_verdict.can_proceed := true;
        v_verdict.reservation_id := p_row.id;
        v_verdict.expires_at := p_row.expires_at;
    ELSE
        v_verdict.reason := 'ended';
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._replay(numeric, text, jsonb, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._replay(numeric, text, jsonb, public.cost_tracking) IS
'The verdict on a reservation whose id is in the ledger: replayed while its hold is open, ended afterwards, with the
figures of its own day. Errors: PB003 when it was asked for with other arguments.';
