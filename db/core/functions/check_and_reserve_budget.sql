CREATE OR REPLACE FUNCTION public.check_and_reserve_budget(
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}'
)
RETURNS TABLE (can_proceed boolean, current_total numeric, reservation_id uuid)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN QUERY
    SELECT v.can_proceed, v.current_total, v.reservation_id
    FROM budget.reserve(p_estimated_cost, p_service_name, p_metadata) AS v;
END
$function$;

REVOKE ALL ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) IS
'Three columns of budget.reserve, for callers that know nothing of schema budget. One row.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who will spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB, kept as original_metadata

Errors and locks: those of budget.reserve.';
