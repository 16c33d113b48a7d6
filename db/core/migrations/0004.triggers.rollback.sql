SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE');
    DROP TRIGGER IF EXISTS budget_adopt_hold ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_guard_hold ON public.cost_tracking;
END
$do$;

RESET search_path;
