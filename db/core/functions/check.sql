CREATE OR REPLACE FUNCTION budget.check(
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}'
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN NEXT budget._decide(
        budget._require_config(),
        budget._money(p_estimated_cost, 'p_estimated_cost'),
        budget._service_name(p_service_name),
        budget._metadata(p_metadata),
        budget._now(),
        NULL
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.check(numeric, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.check(numeric, text, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.check(numeric, text, jsonb) IS
'The verdict that budget.reserve would give now. It reserves nothing, so that the answer may be stale by the time it is
read: never spend on it. One row, with no reservation_id.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who would spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB

Errors: 22023, 22003 bad argument; PB005 broken configuration.
Locks: none. It changes nothing, and works at any isolation level, read-only and on a standby.';
