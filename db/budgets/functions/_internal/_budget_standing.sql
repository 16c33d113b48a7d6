CREATE OR REPLACE FUNCTION budget._budget_standing()
RETURNS TABLE (
    name text,
    dimension text,
    member text,
    period text,
    limit_amount numeric,
    spent numeric,
    held numeric,
    remaining numeric,
    resets_at timestamptz,
    enforcement text,
    is_active boolean
)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_config budget._config := budget._read_config();
    v_now timestamptz := budget._now();
BEGIN
    RETURN QUERY
    SELECT
        b.name,
        b.dimension,
        m.member,
        b.period,
        k.limit_amount,
        t.total - h.held,
        h.held,
        k.limit_amount - t.total,
        nullif(w.ends_at, 'infinity'),
        b.enforcement,
        b.is_active
    FROM budget.budgets AS b
    CROSS JOIN LATERAL budget._period(b.period, v_now, coalesce(b.timezone, v_config.timezone)) AS w
    CROSS JOIN LATERAL budget._limit(v_config, b, v_now) AS k (limit_amount)
    LEFT JOIN (
        SELECT o.budget, o.member, o.starts_at FROM budget.balances AS o
        UNION
        SELECT o.budget, o.member, o.starts_at FROM budget.postings AS o
    ) AS a ON b.name = a.budget AND w.starts_at = a.starts_at
    CROSS JOIN LATERAL (SELECT coalesce(a.member, b.member) AS member) AS m
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN m.member IS NULL OR NOT b.is_active THEN 0
                ELSE budget._balance(v_config, b.name, b.dimension, m.member, w.starts_at, w.ends_at, v_now)
            END AS total
    ) AS t
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(l.cost), 0) AS held
        FROM public.cost_tracking AS l
        WHERE
            b.is_active
            AND l.expires_at > v_now
            AND l.created_at >= w.starts_at
            AND l.created_at < w.ends_at
            AND budget._member(b.dimension, l.service_name, budget._request(l.metadata)) = m.member
    ) AS h
    ORDER BY b.name, m.member;
END
$function$;

REVOKE ALL ON FUNCTION budget._budget_standing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._budget_standing() TO budget_reader;
COMMENT ON FUNCTION budget._budget_standing() IS 'What the view budget.budget_status shows.';
