-- depends: 0004.pgbudget_takeover
-- Old rows are held against the new rules. Plain writers go on meanwhile.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE UPDATE EXCLUSIVE');
    ALTER TABLE public.cost_tracking
        VALIDATE CONSTRAINT budget_created_at_present,
        VALIDATE CONSTRAINT budget_expiry_of_hold;
    -- Those that are still here were accepted.
    IF EXISTS (SELECT FROM public.cost_tracking WHERE cost < 0) THEN
        RAISE NOTICE 'negative rows of public.cost_tracking stay as they are: budget_cost_in_range holds for new rows alone';
    ELSE
        ALTER TABLE public.cost_tracking VALIDATE CONSTRAINT budget_cost_in_range;
    END IF;
END
$do$;

RESET search_path;
