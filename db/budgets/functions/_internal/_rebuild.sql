CREATE OR REPLACE FUNCTION budget._rebuild(p_config budget._config, p_budget text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_now timestamptz := budget._now();
BEGIN
    DELETE FROM budget.balances AS b WHERE b.budget = p_budget;
    DELETE FROM budget.postings AS o WHERE o.budget = p_budget;
    PERFORM budget._insert_balance(p_budget, c.member, c.starts_at, c.ends_at, c.slots, c.amount)
    FROM (
        SELECT b.slots, m.member, w.starts_at, w.ends_at, sum(l.cost) AS amount
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._period(b.period, v_now, coalesce(b.timezone, p_config.timezone)) AS n
        INNER JOIN public.cost_tracking AS l ON l.created_at >= n.starts_at
        CROSS JOIN LATERAL (
            SELECT n.starts_at, n.ends_at
            WHERE l.created_at < n.ends_at
            UNION ALL
            SELECT p.starts_at, p.ends_at
            FROM budget._period(b.period, l.created_at, coalesce(b.timezone, p_config.timezone)) AS p
            WHERE l.created_at >= n.ends_at
        ) AS w
        CROSS JOIN LATERAL budget._member(b.dimension, l.service_name, budget._request(l.metadata)) AS m (member)
        WHERE
            b.name = p_budget
            AND b.is_active
            AND isfinite(l.created_at)
            AND w.starts_at IS NOT NULL
            AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL))
        GROUP BY b.slots, m.member, w.starts_at, w.ends_at
    ) AS c;
    UPDATE budget.budgets AS b SET counted_from = v_now WHERE b.name = p_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget._rebuild(budget._config, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._rebuild(budget._config, text) IS
'Computes a budget''s balances of the window that runs now, and of later ones, from the ledger. The caller keeps
the ledger''s writers out.';
