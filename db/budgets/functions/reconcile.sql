CREATE OR REPLACE FUNCTION budget.reconcile()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_decision();
BEGIN
    PERFORM budget._lock_ledger();
    FOR budget, member, starts_at, balance, ledger IN SELECT d.* FROM budget._drift() AS d LOOP
        DELETE FROM budget.postings AS o
        WHERE (o.budget, o.member, o.starts_at) = (reconcile.budget, reconcile.member, reconcile.starts_at);
        UPDATE budget.balances AS b
        SET
            amount = CASE b.slot WHEN 0 THEN reconcile.ledger ELSE 0 END,
            room = CASE b.slot WHEN 0 THEN -reconcile.ledger ELSE 0 END,
            room_of = 0
        WHERE (b.budget, b.member, b.starts_at) = (reconcile.budget, reconcile.member, reconcile.starts_at);
        RETURN NEXT;
    END LOOP;
    PERFORM budget._end_write(v_lock_timeout);
END
$function$;

REVOKE ALL ON FUNCTION budget.reconcile() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.reconcile() TO budget_admin;
COMMENT ON FUNCTION budget.reconcile() IS
'Sets every balance to the sum of its ledger rows. A row for each that was not: no rows when healthy. It is needed only
after someone has switched triggers off.

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: all its writers wait meanwhile.';
