-- depends: 0005.pgbudget_validate
-- transactional: false
-- The index that finds the day, and sums it from its own pages where the ledger is vacuumed. It is built while everyone
-- goes on writing.

SET search_path = pg_catalog, pg_temp;

-- A build that was cut short leaves an invalid index behind, which IF NOT EXISTS would take for the real one.
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = to_regclass('public.budget_day_idx') AND NOT i.indisvalid) THEN
        ALTER INDEX public.budget_day_idx RENAME TO budget_day_idx_cut_short;
    END IF;
END
$do$;

DROP INDEX CONCURRENTLY IF EXISTS public.budget_day_idx_cut_short;

-- Calls of the handover's function that had begun before ours took its place lock the table. Whoever waits for that
-- lock while the index is built deadlocks with the build, so they are let through first.
DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE UPDATE EXCLUSIVE');
END
$do$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS budget_day_idx ON public.cost_tracking (created_at)
INCLUDE (cost, expires_at);

RESET search_path;
