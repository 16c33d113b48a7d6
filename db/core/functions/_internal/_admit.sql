-- What comes between the decision lock and its end.
CREATE OR REPLACE FUNCTION budget._admit(
    p_config budget._config,
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
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
    v_row public.cost_tracking;
    v_verdict budget.verdict;
BEGIN
    IF p_reservation_id IS NOT NULL THEN
        SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = p_reservation_id;
    END IF;
    IF v_row.id IS NOT NULL THEN
        RETURN budget._replay(p_config, p_estimate, p_service_name, p_metadata, p_now, v_row);
    END IF;
    v_verdict := budget._decide(p_config, p_estimate, p_service_name, p_metadata, p_now, NULL);
    IF NOT v_verdict.can_proceed THEN
        -- The caps are the day's, and so must be the total.
        PERFORM budget._escalate_caps(
            p_config, CASE v_verdict.budget WHEN 'daily' THEN v_verdict.current_total END, p_now
        );
        PERFORM budget._escalate_refusal(
            p_config, v_verdict, p_estimate, p_service_name, p_metadata, p_now, p_work_order_id
        );
        RETURN v_verdict;
    END IF;
    v_verdict.expires_at := p_now + coalesce(p_ttl, p_config.reservation_ttl);
    v_verdict.reservation_id := budget._insert_hold(
        coalesce(p_reservation_id, gen_random_uuid()), p_estimate, p_service_name, p_metadata, p_now, v_verdict.expires_at
    );
    IF v_verdict.reservation_id IS NULL THEN
        -- The id was taken between our look and our insert, by a writer that the lock does not keep out. It may be free
        -- again by now.
        RETURN budget._admit(
            p_config, p_estimate, p_service_name, p_metadata, p_now, p_reservation_id, p_ttl, p_work_order_id
        );
    END IF;
    PERFORM budget._escalate_caps(p_config, v_verdict.current_total + p_estimate, p_now);
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._admit(
    budget._config, numeric, text, jsonb, timestamptz, uuid, interval, uuid
) FROM PUBLIC;
COMMENT ON FUNCTION budget._admit(budget._config, numeric, text, jsonb, timestamptz, uuid, interval, uuid) IS
'The verdict on a request under the decision lock, with its hold where it is granted. A refusal is escalated once a day
for the service, or for the work order where one is given.';
