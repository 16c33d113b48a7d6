-- In this order balances are locked, by everyone.
CREATE OR REPLACE FUNCTION budget._matching(
    p_config budget._config,
    p_service_name text,
    p_request jsonb,
    p_at timestamptz
)
RETURNS TABLE (
    budget text,
    dimension text,
    member text,
    starts_at timestamptz,
    ends_at timestamptz,
    limit_amount numeric,
    enforcement text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT
        b.name,
        b.dimension,
        m.member,
        w.starts_at,
        w.ends_at,
        CASE b.name WHEN 'daily' THEN p_config.emergency_kill ELSE b.limit_amount END,
        b.enforcement
    FROM budget.budgets AS b
    CROSS JOIN LATERAL budget._member(b.dimension, p_service_name, p_request) AS m (member)
    CROSS JOIN LATERAL budget._period(b.period, p_at, coalesce(b.timezone, p_config.timezone)) AS w
    WHERE b.is_active AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL)) AND w.starts_at IS NOT NULL
    ORDER BY b.name, m.member, w.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._matching(budget._config, text, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._matching(budget._config, text, jsonb, timestamptz) IS
'The budgets that a request at an instant belongs to, each with its member, window and limit, in the order of locking.';
