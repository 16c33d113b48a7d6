-- A budget with a member is that member's alone; one without has a balance for each.
CREATE OR REPLACE FUNCTION budget._members_of(p_service_name text, p_request jsonb)
RETURNS TABLE (budget text, dimension text, member text, slots integer)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        b.name,
        b.dimension,
        m.member,
        b.slots
    FROM budget.budgets AS b
    CROSS JOIN LATERAL (
        SELECT budget._member(b.dimension, p_service_name, p_request) AS member OFFSET 0 -- computed once
    ) AS m
    WHERE b.is_active AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL))
$function$;

REVOKE ALL ON FUNCTION budget._members_of(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._members_of(text, jsonb) IS
'The budgets that a request belongs to, and as whose it counts in each.';
