CREATE OR REPLACE FUNCTION budget._drift()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
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
        SELECT b.name, b.dimension, b.member, w.starts_at, w.ends_at, w.ends_at > b.counted_from AS is_counted
        FROM budget.budgets AS b
        INNER JOIN (
            SELECT o.budget, o.starts_at, o.ends_at FROM budget.balances AS o
            UNION
            SELECT o.budget, o.starts_at, o.ends_at FROM budget.postings AS o
            UNION
            SELECT c.name, n.starts_at, n.ends_at
            FROM budget.budgets AS c
            CROSS JOIN LATERAL budget._period(c.period, v_now, coalesce(c.timezone, v_config.timezone)) AS n
            WHERE c.is_active
        ) AS w ON b.name = w.budget
    ),

    spent AS (
        SELECT w.name, m.member, w.starts_at, w.is_counted, sum(l.cost) AS amount
        FROM windows AS w
        INNER JOIN public.cost_tracking AS l ON l.created_at >= w.starts_at AND l.created_at < w.ends_at
        CROSS JOIN LATERAL budget._member(w.dimension, l.service_name, budget._request(l.metadata)) AS m (member)
        WHERE isfinite(l.created_at) AND (w.member = m.member OR (w.member IS NULL AND m.member IS NOT NULL))
        GROUP BY w.name, m.member, w.starts_at, w.is_counted
    ),

    counted AS (
        SELECT
            w.name, o.member, w.starts_at, w.is_counted, bool_or(o.is_balance) AS is_open,
            sum(o.amount) AS amount, sum(o.misspread) AS misspread
        FROM windows AS w
        INNER JOIN (
            SELECT e.budget, e.member, e.starts_at, true AS is_balance, e.amount, e.amount + e.room - e.room_of AS misspread
            FROM budget.balances AS e
            UNION ALL
            SELECT e.budget, e.member, e.starts_at, false, e.amount, 0 FROM budget.postings AS e
        ) AS o ON w.name = o.budget AND w.starts_at = o.starts_at
        GROUP BY w.name, o.member, w.starts_at, w.is_counted
    )

    SELECT x.name, x.member, x.starts_at, coalesce(c.amount, 0), coalesce(s.amount, 0)
    FROM counted AS c
    FULL JOIN spent AS s USING (name, member, starts_at) AS x
    WHERE
        (c.is_open OR coalesce(c.is_counted, s.is_counted))
        AND (coalesce(c.amount, 0) <> coalesce(s.amount, 0) OR c.misspread <> 0)
    ORDER BY x.name, x.member, x.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS
'The balances that, with their postings, are not the sum of their ledger rows, or whose slots have not the room of their
limit. None when healthy.';
