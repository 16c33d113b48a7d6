CREATE OR REPLACE FUNCTION budget._active_proposers()
RETURNS TABLE (name text, complexity_threshold numeric, price numeric, place bigint)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        p.name,
        p.complexity_threshold,
        -- Without a price of 0 or more a proposer is nobody's cheapest: NULL sorts last.
        jsonb_path_query_first(p.cost_profile, 'strict $.input_cost_per_token ? (@ >= 0)', silent => true)::numeric,
        row_number() OVER (ORDER BY p.created_at, p.name)
    FROM public.proposer_configs AS p
    WHERE p.active;
$function$;

REVOKE ALL ON FUNCTION budget._active_proposers() FROM PUBLIC;
COMMENT ON FUNCTION budget._active_proposers() IS
'The proposers that may be chosen, with the price of an input token and their place in the order they were added.';
