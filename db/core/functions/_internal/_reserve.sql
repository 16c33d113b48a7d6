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
    v_now timestamptz;
    v_config budget._config;
    v_row public.cost_tracking;
    v_verdict budget.verdict;
BEGIN
    v_lock_timeout := budget._begin_decision();
    v_decision := budget._serialise(
        p_lock, ARRAY[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._posting]
    );
    v_now := v_decision.decided_at;
    v_config := v_decision.config;

    IF p_reservation_id IS NOT NULL THEN
        SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = p_reservation_id;
    END IF;
    IF v_row.id IS NOT NULL THEN
        v_verdict := budget._replay(v_config, v_estimate, v_service_name, v_metadata, v_now, v_row);
    ELSE
        v_verdict := budget._decide(v_config, v_estimate, v_service_name, v_metadata, v_now, NULL);
        IF NOT v_verdict.can_proceed THEN
            -- The caps are the day's, and so must be the total.
            PERFORM budget._escalate_caps(
                v_config, CASE v_verdict.budget WHEN 'daily' THEN v_verdict.current_total END, v_now
            );
            PERFORM budget._escalate_refusal(v_config, v_verdict, v_estimate, v_service_name, v_now, p_work_order_id);
        ELSE
            v_verdict.expires_at := v_now + coalesce(v_ttl, v_config.reservation_ttl);
            v_verdict.reservation_id := budget._insert_hold(
                coalesce(p_reservation_id, gen_random_uuid()), v_estimate, v_service_name, v_metadata, v_now, v_verdict.expires_at
            );
            IF v_verdict.reservation_id IS NULL THEN
                -- The id was taken between our look and our insert, by a writer that the lock does not keep out.
                SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = p_reservation_id;
                v_verdict := budget._replay(v_config, v_estimate, v_service_name, v_metadata, v_now, v_row);
            ELSE
                PERFORM budget._escalate_caps(v_config, v_verdict.current_total + v_estimate, v_now);
            END IF;
        END IF;
    END IF;

    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) IS
'The body of budget.reserve and budget.reserve_advisory, under the lock that p_lock names. A refusal is escalated once a
day for the service, or for the work order where one is given.';
