-- The one body of both variants, and all of the ordinary way to a hold: checked, begun, where the budgets stand,
-- verdict, hold, thresholds.
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
    v_lock_timeout text := budget._begin_decision();
    v_decision budget._decision := budget._standings(
        ARRAY[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._request], p_lock
    );
    v_policy budget._policy := budget._require_policy(v_decision.policy);
    v_day budget._standing := v_decision.standings[1];
    v_verdict budget.verdict;
    v_hold public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    IF p_reservation_id IS NOT NULL THEN
        SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = p_reservation_id;
    END IF;
    IF v_row.id IS NOT NULL THEN
        v_verdict := budget._replay(v_estimate, v_service_name, v_metadata, v_row);
        v_lock_timeout := budget._end_write(v_lock_timeout);
        RETURN v_verdict;
    END IF;

    v_verdict := budget._verdict(v_decision, v_estimate, v_service_name, NULL);
    IF v_verdict.can_proceed THEN
        v_hold.id := coalesce(p_reservation_id, gen_random_uuid());
        v_hold.service_name := v_service_name;
        v_hold.cost := v_estimate;
        v_hold.metadata := budget._hold_metadata(v_estimate, v_metadata, v_decision.decided_at);
        v_hold.created_at := v_decision.decided_at;
        v_hold.expires_at := v_decision.decided_at + coalesce(v_ttl, v_policy.reservation_ttl);
        INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at, expires_at)
        VALUES (v_hold.id, v_hold.service_name, v_hold.cost, v_hold.metadata, v_hold.created_at, v_hold.expires_at)
        ON CONFLICT (id) DO NOTHING
        RETURNING l.* INTO v_row;
        IF NOT budget._is_kept(v_hold, v_row) THEN
            PERFORM budget._require_taken(v_hold, v_row);
            -- The id was taken between our look and our insert, by a writer that the lock does not keep out. It may be
            -- free again by now.
            v_verdict := budget._reserve(
                p_lock, v_estimate, v_service_name, v_metadata, p_reservation_id, v_ttl, p_work_order_id
            );
            v_lock_timeout := budget._end_write(v_lock_timeout);
            RETURN v_verdict;
        END IF;
        v_verdict.reservation_id := v_hold.id;
        v_verdict.expires_at := v_hold.expires_at;
        v_day.total := v_day.total + v_estimate;
    ELSE
        PERFORM budget._escalate_refusal(v_decision, v_verdict, v_estimate, v_service_name, p_work_order_id);
    END IF;
    IF budget._reaches_cap(v_policy, v_day.total) THEN
        PERFORM budget._escalate_caps(v_policy, v_day.total, v_day.starts_at);
    END IF;
    v_lock_timeout := budget._end_write(v_lock_timeout);
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) IS
'The body of budget.reserve and budget.reserve_advisory, under the lock that p_lock names.';
