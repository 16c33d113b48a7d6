CREATE OR REPLACE FUNCTION budget.prune(p_before timestamptz)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_write();
    v_pruned bigint;
BEGIN
    -- In the order in which everybody locks them.
    PERFORM
    FROM budget.balances AS b
    WHERE b.ends_at <= least(p_before, budget._now())
    ORDER BY b.budget, b.member, b.starts_at, b.slot DESC
    FOR UPDATE;
    WITH gone AS (
        DELETE FROM budget.balances AS b WHERE b.ends_at <= least(p_before, budget._now()) RETURNING b.slot
    )
    SELECT count(*) INTO v_pruned FROM gone AS g WHERE g.slot = 0;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_pruned;
END
$function$;

REVOKE ALL ON FUNCTION budget.prune(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.prune(timestamptz) TO budget_admin;
COMMENT ON FUNCTION budget.prune(timestamptz) IS
'Removes the balances of windows that have ended by p_before; returns how many. No ledger row is touched, and a late
settle opens its window again from the ledger.

Errors: 55P03 lock wait. Locks: the balances'' rows.';
