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
BEGIN
    PERFORM budget._lock_ledger();
    DELETE FROM budget.postings AS o WHERE o.ends_at <= v_before;
    -- Where nobody reserves, nobody folds.
    PERFORM budget._open(
        ROW(b.name, b.dimension, o.member, o.starts_at, o.ends_at, NULL, NULL, NULL, NULL, b.slots, 0, 0)::budget._standing
    )
    FROM budget.budgets AS b
    INNER JOIN (
        SELECT DISTINCT p.budget, p.member, p.starts_at, p.ends_at FROM budget.postings AS p
    ) AS o ON b.name = o.budget
    LEFT JOIN budget.balances AS k ON o.budget = k.budget AND o.member = k.member AND o.starts_at = k.starts_at AND k.slot = 0
    WHERE k.budget IS NULL;
    WITH taken AS (
        DELETE FROM budget.postings AS o
        RETURNING o.budget, o.member, o.starts_at, o.amount
    )

    UPDATE budget.balances AS b
    SET amount = b.amount + t.amount, room = b.room - t.amount
    FROM (
        SELECT k.budget, k.member, k.starts_at, sum(k.amount) AS amount FROM taken AS k GROUP BY k.budget, k.member, k.starts_at
    ) AS t
    WHERE b.budget = t.budget AND b.member = t.member AND b.starts_at = t.starts_at AND b.slot = 0;
    -- A balance that comes to nothing is made again by the first posting: what callers can make up does not stay.
    WITH empty AS (
        SELECT b.budget, b.member, b.starts_at
        FROM budget.balances AS b
        GROUP BY b.budget, b.member, b.starts_at
        HAVING sum(b.amount) = 0 OR min(b.ends_at) <= v_before
    ),

    pruned AS (
        DELETE FROM budget.balances AS b
        USING empty AS e
        WHERE b.budget = e.budget AND b.member = e.member AND b.starts_at = e.starts_at
        RETURNING b.slot
    )

    SELECT count(*) INTO v_pruned FROM pruned AS p WHERE p.slot = 0;
    UPDATE budget.budgets AS b SET counted_from = v_before WHERE b.counted_from < v_before;
    v_lock_timeout := budget._end_write(v_lock_timeout);
    RETURN v_pruned;
END
$function$;

REVOKE ALL ON FUNCTION budget.prune(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.prune(timestamptz) TO budget_admin;
COMMENT ON FUNCTION budget.prune(timestamptz) IS
'Removes the balances of windows that have ended by p_before, and those that come to nothing; returns how many. No
ledger row is touched: who asks for such a window again, as an extend of an old hold does, opens it from the ledger.
Folds in what was posted to the others, for budgets that are written to and that nobody reserves from.

p_before  an instant; NULL and any later one: now

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: its writers wait for the short while.';
