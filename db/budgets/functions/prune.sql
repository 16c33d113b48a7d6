CREATE OR REPLACE FUNCTION budget.prune(p_before timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_decision();
    v_before timestamptz := least(p_before, budget._now());
    v_pruned bigint;
    v_match budget._match;
BEGIN
    PERFORM budget._lock_ledger();
    DELETE FROM budget.postings AS o WHERE o.ends_at <= v_before;
    WITH pruned AS (
        DELETE FROM budget.balances AS b WHERE b.ends_at <= v_before RETURNING b.slot
    )
    SELECT count(*) INTO v_pruned FROM pruned AS p WHERE p.slot = 0;
    UPDATE budget.budgets AS b SET counted_from = v_before WHERE b.counted_from < v_before;
    -- Where nobody reserves, nobody folds.
    FOR v_match IN
        SELECT b.name, b.dimension, o.member, o.starts_at, o.ends_at, NULL, b.enforcement, b.slots, 0, 0
        FROM budget.budgets AS b
        INNER JOIN budget.postings AS o ON b.name = o.budget
        GROUP BY b.name, o.member, o.starts_at, o.ends_at
    LOOP
        PERFORM budget._open_balance(v_match);
        PERFORM budget._fold(v_match, true);
    END LOOP;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_pruned;
END
$function$;

REVOKE ALL ON FUNCTION budget.prune(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.prune(timestamptz) TO budget_admin;
COMMENT ON FUNCTION budget.prune(timestamptz) IS
'Removes the balances of windows that have ended by p_before; returns how many. No ledger row is touched: who asks for
such a window again, as an extend of an old hold does, opens it from the ledger. Folds in what was posted to the others,
for budgets that are written to and that nobody reserves from.

p_before  an instant; NULL and any later one: now

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: its writers wait for the short while.';
