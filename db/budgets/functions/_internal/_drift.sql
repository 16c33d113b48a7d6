CREATE OR REPLACE FUNCTION budget._drift()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN QUERY
    SELECT a.budget, a.member, a.starts_at, a.amount + p.amount, s.amount
    FROM budget.budgets AS b
    INNER JOIN (
        SELECT
            o.budget, o.member, o.starts_at, o.ends_at,
            sum(o.amount) AS amount, sum(o.amount + o.room - o.room_of) AS misspread
        FROM budget.balances AS o
        GROUP BY o.budget, o.member, o.starts_at, o.ends_at
    ) AS a ON b.name = a.budget
    CROSS JOIN LATERAL budget._ledger_sum(b.dimension, a.member, a.starts_at, a.ends_at) AS s (amount)
    CROSS JOIN LATERAL budget._posted(a.budget, a.member, a.starts_at) AS p (amount)
    WHERE s.amount <> a.amount + p.amount OR a.misspread <> 0
    ORDER BY a.budget, a.member, a.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS
'The balances that, with their postings, are not the sum of their ledger rows, or whose slots have not the room of their
limit. None when healthy.';
