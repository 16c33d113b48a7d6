-- depends: 0005.pgbudget_validate
-- transactional: false
-- One plain index finds the day. It is built while everyone goes on writing.

SET search_path = pg_catalog, pg_temp;

-- A build that was cut short leaves an invalid index behind, which IF NOT EXISTS would take for the real one.
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = to_regclass('public.budget_day_idx') AND NOT i.indisvalid) THEN
        PERFORM budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE');
        DROP INDEX public.budget_day_idx;
    END IF;
END
$do$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS budget_day_idx ON public.cost_tracking (created_at);

RESET search_path;
