-- over_limit and late are compared and not cast: a direct writer may have left anything there.
CREATE OR REPLACE FUNCTION budget._outcome(p_row public.cost_tracking)
RETURNS budget.outcome
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT ROW(
        (p_row).id,
        (p_row).metadata ->> 'type',
        ((p_row).metadata ->> 'estimated_cost')::numeric,
        (p_row).cost,
        CASE
            WHEN (p_row).metadata -> 'over_limit' = 'null' THEN NULL
            ELSE coalesce((p_row).metadata -> 'over_limit' = 'true', false)
        END,
        coalesce((p_row).metadata -> 'late' = 'true', false)
    )::budget.outcome
$function$;

REVOKE ALL ON FUNCTION budget._outcome(public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._outcome(public.cost_tracking) IS 'A ledger row as an outcome.';
