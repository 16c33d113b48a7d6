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
    v_config budget._config;
BEGIN
    PERFORM budget._lock_ledger();
    v_config := budget._read_config(); -- nobody changes the zone from here on
    FOR budget, member, starts_at, balance, ledger IN SELECT d.* FROM budget._drift() AS d LOOP
        DELETE FROM budget.balances AS o
        WHERE o.budget = reconcile.budget AND o.member = reconcile.member AND o.starts_at = reconcile.starts_at;
        DELETE FROM budget.postings AS o
        WHERE o.budget = reconcile.budget AND o.member = reconcile.member AND o.starts_at = reconcile.starts_at;
        PERFORM budget._insert_balance(
            b.name, reconcile.member, reconcile.starts_at, coalesce(w.ends_at, 'infinity'), b.slots, reconcile.ledger
        )
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._period(
            b.period, reconcile.starts_at, coalesce(b.timezone, v_config.timezone)
        ) AS w
        WHERE b.name = reconcile.budget;
        starts_at := nullif(reconcile.starts_at, '-infinity'); -- no client has a value for it
        RETURN NEXT;
    END LOOP;
    PERFORM budget._end_write(v_lock_timeout);
END
$function$;

REVOKE ALL ON FUNCTION budget.reconcile() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.reconcile() TO budget_admin;
COMMENT ON FUNCTION budget.reconcile() IS
'Opens each balance anew that is not the sum of its ledger rows. A row for each of them, starts_at NULL for a
total: no rows when healthy. It is needed only after someone has switched triggers off.

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: all its writers wait meanwhile.';
