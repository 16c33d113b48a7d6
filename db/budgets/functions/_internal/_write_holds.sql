-- Two batches that have ids in common, in any order, meet at the first of them.
CREATE OR REPLACE FUNCTION budget._write_holds(
    p_decision budget._decision,
    p_requests budget._request[],
    p_ids uuid[],
    p_verdicts budget.verdict[]
)
RETURNS budget.verdict[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_written uuid[];
    v_element record;
    v_hold public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    WITH written AS (
        INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at, expires_at)
        SELECT
            r.id, r.service_name, r.amount, budget._hold_metadata(r.amount, r.metadata, p_decision.decided_at),
            p_decision.decided_at, v.expires_at
        FROM unnest(p_requests, p_ids) WITH ORDINALITY AS r (service_name, metadata, created_at, amount, id, n)
        INNER JOIN unnest(p_verdicts) WITH ORDINALITY AS v (
            can_proceed, current_total, reservation_id, reason, budget, member, limit_amount, remaining, resets_at,
            retry_at, expires_at, n
        ) USING (n)
        WHERE v.reason = 'granted'
        ORDER BY r.id
        ON CONFLICT (id) DO NOTHING
        RETURNING l.id, l.cost, l.metadata, l.created_at
    )

    SELECT array_agg(w.id)
    INTO v_written
    FROM written AS w
    WHERE w.created_at = p_decision.decided_at AND w.cost = (w.metadata ->> 'requested_cost')::numeric;

    FOR v_element IN
        SELECT r.n, r.id, r.service_name, r.metadata, r.amount, v.expires_at
        FROM unnest(p_requests, p_ids) WITH ORDINALITY AS r (service_name, metadata, created_at, amount, id, n)
        INNER JOIN unnest(p_verdicts) WITH ORDINALITY AS v (
            can_proceed, current_total, reservation_id, reason, budget, member, limit_amount, remaining, resets_at,
            retry_at, expires_at, n
        ) USING (n)
        WHERE v.reason = 'granted' AND NOT EXISTS (SELECT FROM unnest(v_written) AS w (id) WHERE w.id = r.id)
    LOOP
        v_hold.id := v_element.id;
        v_hold.service_name := v_element.service_name;
        v_hold.cost := v_element.amount;
        v_hold.metadata := budget._hold_metadata(v_element.amount, v_element.metadata, p_decision.decided_at);
        v_hold.created_at := p_decision.decided_at;
        v_hold.expires_at := v_element.expires_at;
        SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = v_element.id;
        IF v_row.created_at = v_hold.created_at OR NOT budget._is_taken(v_element.id) THEN
            PERFORM budget._require_kept(v_hold, v_row);
        END IF;
        -- The id was taken between our look and our insert, by a writer that the locks do not keep out.
        p_verdicts[v_element.n] := budget._replay(v_element.amount, v_element.service_name, v_element.metadata, v_row);
    END LOOP;
    RETURN p_verdicts;
END
$function$;

REVOKE ALL ON FUNCTION budget._write_holds(budget._decision, budget._request[], uuid[], budget.verdict[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._write_holds(budget._decision, budget._request[], uuid[], budget.verdict[]) IS
'Writes the holds of those requests that are granted, and returns the verdicts: that of an id which somebody else took
meanwhile is that of its repeat. Errors: PB003; PB006.';
