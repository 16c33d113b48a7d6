-- depends: 0007.pgbudget_open_holds
-- transactional: false
-- Open holds by their expiry: what a refusal waits for, and what has lapsed and is not marked, is found at once, however
-- long the ledger is. It is built while everyone goes on writing.

SET search_path = pg_catalog, pg_temp;

-- A build that was cut short leaves an invalid index behind, which IF NOT EXISTS would take for the real one.
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = to_regclass('public.budget_expiry_idx') AND NOT i.indisvalid) THEN
        ALTER INDEX public.budget_expiry_idx RENAME TO budget_expiry_idx_cut_short;
    END IF;
END
$do$;

DROP INDEX CONCURRENTLY IF EXISTS public.budget_expiry_idx_cut_short;

-- Whoever waits for the table lock of budget.reserve while the index is built deadlocks with the build. Those that wait
-- already are let through first; those that come while there is an index to be built take the advisory lock instead.
DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE UPDATE EXCLUSIVE');
END
$do$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS budget_expiry_idx ON public.cost_tracking (expires_at)
WHERE expires_at IS NOT NULL;

RESET search_path;
