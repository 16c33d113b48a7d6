CREATE OR REPLACE FUNCTION budget._forget_balances()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    -- An older snapshot would leave those behind that came since.
    PERFORM budget._end_write(budget._begin_decision());
    DELETE FROM budget.balances;
    DELETE FROM budget.postings;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._forget_balances() FROM PUBLIC;
COMMENT ON FUNCTION budget._forget_balances() IS
'Trigger on TRUNCATE of the ledger: an empty one has empty windows. Errors: PB001 at any level but READ COMMITTED.';
