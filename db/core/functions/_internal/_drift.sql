CREATE OR REPLACE FUNCTION budget._drift()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN; -- the day is summed from the ledger: there is no balance that could differ
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS 'Balances that differ from the sum of their ledger rows: none in this series.';
