-- In core there are no balances, and nothing that adds them up.
CREATE OR REPLACE FUNCTION budget._broken_balances()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    IF to_regprocedure('budget._drift()') IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT d.* FROM %I._drift() AS d', 'budget');
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._broken_balances() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._broken_balances() TO budget_reader;
COMMENT ON FUNCTION budget._broken_balances() IS
'The balances of the series budgets that are not the sum of their ledger rows. None when healthy, or where that
series is not installed.';
