-- The application's tables and rows stay as they were found. A widened cost column stays wide: narrowing it would lose
-- cents. A table that pgbudget made goes only if nothing was written into it and nothing depends on it.

SET search_path = pg_catalog, pg_temp;

-- begin guard
-- From here on functions of the schema run, and whoever owns them can change them.
DO $do$
DECLARE
    v_owner text := (
        SELECT r.rolname
        FROM pg_namespace AS n
        INNER JOIN pg_roles AS r ON n.nspowner = r.oid
        WHERE n.nspname = 'budget' AND r.rolname <> current_user AND NOT r.rolsuper
    );
BEGIN
    IF v_owner IS NOT NULL AND NOT coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean THEN
        RAISE EXCEPTION 'the schema budget belongs to another role, whose code would run with the rights of %', current_user
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', v_owner),
            HINT = 'Nothing was changed. Go on as its owner; or, if you trust it with your own rights, with '
                '--accept-owner or the setting pgbudget.accept_owner = on.';
    END IF;
END
$do$;
-- end guard

-- What row security would hide is an error, not an empty table.
SET row_security = off;

-- Every strong lock is taken at once, so that no table waits for another under one of them.
DO $do$
DECLARE
    -- Those that refer to others come first.
    c_tables CONSTANT text[] := ARRAY[
        'public.cost_tracking', 'public.proposer_configs', 'public.system_config', 'public.escalations', 'public.work_orders'
    ];
    v_ours text[] := ARRAY(
        SELECT t.name
        FROM unnest(c_tables) WITH ORDINALITY AS t (name, place)
        INNER JOIN pg_class AS c ON c.oid = to_regclass(t.name) AND c.relkind = 'r'
        WHERE obj_description(c.oid, 'pg_class') = 'Created by pgbudget.'
        ORDER BY t.place
    );
    v_reason_is_ours boolean := EXISTS (
        SELECT
        FROM pg_attribute AS a
        WHERE
            a.attrelid = to_regclass('public.escalations')
            AND a.attname = 'reason'
            AND col_description(a.attrelid, a.attnum) = 'What happened, for a human. Added by pgbudget.'
    );
    v_has_settings boolean := coalesce(has_table_privilege(to_regclass('public.system_config'), 'DELETE'), false);
    v_locked text := (
        SELECT string_agg(t.name, ', ')
        FROM unnest(c_tables) AS t (name)
        WHERE
            t.name = ANY (v_ours)
            OR (t.name = 'public.cost_tracking' AND to_regclass(t.name) IS NOT NULL)
            OR (t.name = 'public.escalations' AND v_reason_is_ours)
            OR (t.name = 'public.system_config' AND v_has_settings)
    );
    v_open record;
    v_table text;
    v_used boolean;
BEGIN
    IF v_locked IS NULL THEN
        RETURN; -- undone already
    END IF;
    PERFORM budget._lock_table(v_locked, 'ACCESS EXCLUSIVE');
    IF v_has_settings THEN
        -- Nobody's code runs by it: what was being made on the table is there once it is locked.
        SELECT f.* INTO v_open FROM budget._foreign_code() AS f WHERE f.table_name = 'system_config';
        IF FOUND THEN
            RAISE EXCEPTION 'the rows of pgbudget cannot be deleted safely: system_config is %', v_open.found
                USING ERRCODE = '55000', HINT = E'This step changed nothing. Then roll back again.\n' || v_open.remedy;
        END IF;
        BEGIN
            DELETE FROM public.system_config
            WHERE
                key = 'budget_freeze'
                OR (key = 'budget_limits' AND description = 'Written by pgbudget; change it with budget.set_limits');
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'rows of pgbudget in public.system_config are kept: %', SQLERRM;
        END;
    ELSIF to_regclass('public.system_config') IS NOT NULL THEN
        RAISE NOTICE 'rows of pgbudget in public.system_config are kept: % may not delete them', current_user;
    END IF;
    IF v_reason_is_ours THEN
        ALTER TABLE public.escalations DROP COLUMN reason;
    END IF;
    ALTER TABLE IF EXISTS public.cost_tracking
        DROP CONSTRAINT IF EXISTS budget_expiry_of_hold,
        DROP CONSTRAINT IF EXISTS budget_created_at_present,
        DROP CONSTRAINT IF EXISTS budget_cost_in_range,
        DROP COLUMN IF EXISTS expires_at;
    FOREACH v_table IN ARRAY v_ours LOOP
        BEGIN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', v_table) INTO v_used;
            IF NOT v_used THEN
                EXECUTE format('DROP TABLE %s', v_table);
            END IF;
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
            v_used := true; -- or row security may hide that it is
        END;
        IF v_used THEN
            RAISE NOTICE 'table % was made by pgbudget, is in use and is kept', v_table;
        END IF;
    END LOOP;
END
$do$;

RESET row_security;
RESET search_path;
