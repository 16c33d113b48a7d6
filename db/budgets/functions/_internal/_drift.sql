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
    SELECT a.budget, a.member, a.starts_at, a.amount, s.amount
    FROM budget.balances AS a
    INNER JOIN budget.budgets AS b ON a.budget = b.name
    CROSS JOIN LATERAL budget._ledger_sum(b.dimension, a.member, a.starts_at, a.ends_at) AS s (amount)
    WHERE s.amount <> a.amount
    ORDER BY a.budget, a.member, a.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS 'The balances that are not the sum of their ledger rows. None when healthy.';
