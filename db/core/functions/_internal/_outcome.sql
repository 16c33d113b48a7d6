CREATE OR REPLACE FUNCTION budget._outcome(p_row public.cost_tracking)
RETURNS budget.outcome
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_outcome budget.outcome;
BEGIN
    v_outcome.reservation_id := p_row.id;
    v_outcome.status := p_row.metadata ->> 'type';
    v_outcome.estimated_cost := (p_row.metadata ->> 'estimated_cost')::numeric;
    v_outcome.actual_cost := p_row.cost;
    -- Compared and not cast: a direct writer may have left anything there.
    v_outcome.over_limit := CASE
        WHEN p_row.metadata -> 'over_limit' = 'null' THEN NULL
        ELSE coalesce(p_row.metadata -> 'over_limit' = 'true', false)
    END;
    v_outcome.late := coalesce(p_row.metadata -> 'late' = 'true', false);
    RETURN v_outcome;
END
$function$;

REVOKE ALL ON FUNCTION budget._outcome(public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._outcome(public.cost_tracking) IS 'A ledger row as an outcome.';
