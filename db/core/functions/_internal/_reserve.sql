-- The one body of both variants. Lock first, then one reading of the clock, then configuration and sum: each of them
-- is a statement of its own, so that it sees all that was committed before the lock was granted.
CREATE OR REPLACE FUNCTION budget._reserve(
    p_lock text,
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb,
    p_reservation_id uuid,
    p_ttl interval,
    p_work_order_id uuid
)
RETURNS budget.verdict
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_estimate numeric := budget._money(p_estimated_cost, 'p_estimated_cost');
    v_service_name text := budget._service_name(p_service_name);
    v_metadata jsonb := budget._metadata(p_metadata);
    v_ttl interval := CASE WHEN p_ttl IS NOT NULL THEN budget._ttl(p_ttl) END;
    v_lock_timeout text;
    v_decision record;
    v_verdict budget.verdict;
BEGIN
    v_lock_timeout := budget._begin_decision();
    v_decision := budget._serialise(
        p_lock, ARRAY[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._posting]
    );
    v_verdict := budget._admit(
        v_decision.config, v_estimate, v_service_name, v_metadata, v_decision.decided_at, p_reservation_id, v_ttl,
        p_work_order_id
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) IS
'The body of budget.reserve and budget.reserve_advisory, under the lock that p_lock names.';
