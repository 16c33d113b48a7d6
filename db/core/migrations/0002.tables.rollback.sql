-- The application's tables and rows stay as they were found. A widened cost column stays wide: narrowing it would lose
-- cents. A table that pgbudget made goes only if nothing was written into it.

DELETE FROM public.system_config
WHERE key = 'budget_freeze' OR (key = 'budget_limits' AND description = 'Written by pgbudget; change it with budget.set_limits');

DO $do$
BEGIN
    IF col_description('public.escalations'::regclass, (
        SELECT a.attnum
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.escalations'::regclass AND a.attname = 'reason'
    )) = 'What happened, for a human. Added by pgbudget.' THEN
        PERFORM budget._lock_table('public.escalations', 'ACCESS EXCLUSIVE');
        ALTER TABLE public.escalations DROP COLUMN reason;
    END IF;
END
$do$;

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE');
    ALTER TABLE public.cost_tracking
        DROP CONSTRAINT IF EXISTS budget_expiry_of_hold,
        DROP CONSTRAINT IF EXISTS budget_created_at_present,
        DROP CONSTRAINT IF EXISTS budget_cost_in_range,
        DROP COLUMN IF EXISTS expires_at;
END
$do$;

DO $do$
DECLARE
    v_table text;
    v_used boolean;
BEGIN
    FOREACH v_table IN ARRAY ARRAY[
        'public.cost_tracking', 'public.proposer_configs', 'public.system_config', 'public.escalations', 'public.work_orders'
    ] LOOP
        IF obj_description(to_regclass(v_table), 'pg_class') = 'Created by pgbudget.' THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', v_table) INTO v_used;
            IF v_used THEN
                RAISE NOTICE 'table % was made by pgbudget, has rows and is kept', v_table;
            ELSE
                EXECUTE format('DROP TABLE %s', v_table);
            END IF;
        END IF;
    END LOOP;
END
$do$;
