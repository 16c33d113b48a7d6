-- A time to live is at most 24 hours, so that a hold which was never extended is younger than that; one that was is
-- found by the id in the order's last decision. A row that another session has locked is being settled, cancelled or
-- extended by it and is left to it: whoever holds the decision lock never waits for a row.
CREATE OR REPLACE FUNCTION budget._cancel_order_holds(p_work_order_id uuid, p_last_reservation_id text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_uuid CONSTANT text := '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
    v_now timestamptz := budget._now();
    -- The application may have changed the decision. As a uuid, not as text, so that the key finds it.
    v_last_id uuid := substring(p_last_reservation_id FROM c_uuid)::uuid;
    c_cancelled CONSTANT jsonb := jsonb '{"type": "cancelled", "cancel_reason": "the work order was routed again"}';
    v_hold record;
    v_asked public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    FOR v_hold IN
        SELECT l.id, l.service_name, l.created_at
        FROM public.cost_tracking AS l
        WHERE
            (l.created_at > v_now - interval '24 hours' OR l.id = v_last_id)
            AND l.expires_at > v_now
            AND l.service_name = 'manager-routing'
            AND l.metadata -> 'original_metadata' ->> 'work_order_id' = p_work_order_id::text
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        UPDATE public.cost_tracking AS l
        SET cost = 0, metadata = c_cancelled
        WHERE l.id = v_hold.id
        RETURNING l.* INTO v_row;
        v_asked.id := v_hold.id;
        v_asked.service_name := v_hold.service_name;
        v_asked.cost := 0;
        v_asked.metadata := c_cancelled;
        v_asked.created_at := v_hold.created_at;
        PERFORM budget._require_kept(v_asked, v_row);
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._cancel_order_holds(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._cancel_order_holds(uuid, text) IS
'Cancels what earlier routings of the work order still hold. Errors: PB006.';
