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
    is_active boolean,
    raised_by numeric,
    raised_until timestamptz
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
    WITH windows AS MATERIALIZED (
        SELECT
            b.*,
            w.starts_at,
            w.ends_at,
            k.limit_now,
            v_now < b.extra_until AND b.extra > 0 AS is_raised
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._period(b.period, v_now, coalesce(b.timezone, v_config.timezone)) AS w
        CROSS JOIN LATERAL budget._limit(v_config, b, v_now) AS k (limit_now)
    ),

    open AS MATERIALIZED (
        SELECT l.service_name, budget._request(l.metadata) AS request, l.created_at, l.expires_at, l.cost
        FROM public.cost_tracking AS l
        WHERE l.expires_at IS NOT NULL AND isfinite(l.created_at)
    ),

    -- Once for a budget, not once for each of its members: there may be thousands of these.
    holds AS MATERIALIZED (
        SELECT
            h.name,
            h.member,
            coalesce(sum(h.cost) FILTER (WHERE h.expires_at > v_now), 0) AS held,
            coalesce(sum(h.cost) FILTER (WHERE h.expires_at <= v_now AND v_config.on_expiry = 'release'), 0) AS lapsed
        FROM (
            SELECT
                w.name,
                o.expires_at,
                o.cost,
                budget._member(w.dimension, o.service_name, o.request) AS member
            FROM windows AS w
            INNER JOIN open AS o ON o.created_at >= w.starts_at AND o.created_at < w.ends_at
            WHERE w.is_active
        ) AS h
        GROUP BY h.name, h.member
    ),

    counted AS (
        SELECT c.budget, c.member, c.starts_at, sum(c.amount) AS amount, bool_or(c.is_balance) AS is_open
        FROM (
            SELECT o.budget, o.member, o.starts_at, o.amount, true AS is_balance FROM budget.balances AS o
            UNION ALL
            SELECT o.budget, o.member, o.starts_at, o.amount, false FROM budget.postings AS o
        ) AS c
        GROUP BY c.budget, c.member, c.starts_at
    )

    SELECT
        w.name,
        w.dimension,
        m.member,
        w.period,
        w.limit_now,
        t.total - t.held,
        t.held,
        w.limit_now - t.total,
        nullif(w.ends_at, 'infinity'),
        w.enforcement,
        w.is_active,
        CASE WHEN w.is_raised THEN w.extra END,
        CASE WHEN w.is_raised THEN w.extra_until END
    FROM windows AS w
    LEFT JOIN counted AS c ON w.name = c.budget AND w.starts_at = c.starts_at
    CROSS JOIN LATERAL (SELECT coalesce(c.member, w.member) AS member) AS m
    LEFT JOIN holds AS h ON w.name = h.name AND m.member = h.member
    CROSS JOIN LATERAL (
        SELECT
            coalesce(h.held, 0) AS held,
            CASE
                WHEN m.member IS NULL OR NOT w.is_active THEN 0
                WHEN c.is_open THEN c.amount
                -- A window in which nobody has asked yet, or that was pruned.
                ELSE budget._unopened(w.name, w.dimension, m.member, w.starts_at, w.ends_at)
            END - coalesce(h.lapsed, 0) AS total
    ) AS t
    ORDER BY w.name, m.member;
END
$function$;

REVOKE ALL ON FUNCTION budget._budget_standing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._budget_standing() TO budget_reader;
COMMENT ON FUNCTION budget._budget_standing() IS 'What the view budget.budget_status shows.';
