-- The bounds of the running window are at hand in the newest balance of the member; they are computed only where that
-- has ended, or is not open yet. A row of a year that has no day is in no window but that of a total.
CREATE OR REPLACE FUNCTION budget._window_at(p_budget budget.budgets, p_member text, p_at timestamptz)
RETURNS TABLE (starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        coalesce(k.starts_at, w.starts_at),
        coalesce(k.ends_at, w.ends_at)
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT
            o.starts_at,
            o.ends_at
        FROM budget.balances AS o
        WHERE o.budget = (p_budget).name AND o.member = p_member AND o.starts_at <= p_at
        ORDER BY o.starts_at DESC
        LIMIT 1
    ) AS k ON p_at < k.ends_at
    LEFT JOIN LATERAL (
        SELECT
            c.starts_at,
            c.ends_at
        FROM budget._window((p_budget).period, p_at, (p_budget).timezone) AS c
        WHERE k.starts_at IS NULL
        OFFSET 0
    ) AS w ON true
    WHERE pg_catalog.isfinite(p_at) AND coalesce(k.starts_at, w.starts_at) IS NOT NULL
$function$;

REVOKE ALL ON FUNCTION budget._window_at(budget.budgets, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._window_at(budget.budgets, text, timestamptz) IS
'The window of a budget that an instant belongs to, for a member; no row where there is none.';
