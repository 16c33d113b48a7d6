CREATE OR REPLACE FUNCTION budget._balances_of(p_service_name text, p_request jsonb, p_created_at timestamptz)
RETURNS TABLE (budget text, member text, starts_at timestamptz, ends_at timestamptz, slot integer)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        m.budget,
        m.member,
        w.starts_at,
        w.ends_at,
        budget._own_slot(m.slots)
    FROM budget._members_of(p_service_name, p_request) AS m
    INNER JOIN budget.budgets AS b ON m.budget = b.name
    CROSS JOIN LATERAL budget._window_at(b, m.member, p_created_at) AS w
$function$;

REVOKE ALL ON FUNCTION budget._balances_of(text, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._balances_of(text, jsonb, timestamptz) IS
'The balances that a ledger row counts in, and the slot that this session posts to them under.';
