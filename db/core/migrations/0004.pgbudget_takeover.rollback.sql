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

-- Undone already, but still marked: the handover's function has its name again, and is not the one to drop.
DO $do$
BEGIN
    IF budget._adopted_function() IS NOT NULL THEN
        ALTER FUNCTION public.check_and_reserve_budget(numeric, text, jsonb)
        RENAME TO check_and_reserve_budget_before_pgbudget;
    END IF;
END
$do$;

-- begin compiled
DROP FUNCTION IF EXISTS public.check_and_reserve_budget(numeric, text, jsonb);
-- end compiled

-- The handover's own function comes back under its name, with the rights and the comment it had.
DO $do$
DECLARE
    c_old CONSTANT regprocedure := to_regprocedure('public.check_and_reserve_budget_before_pgbudget(numeric, text, jsonb)');
    c_kept CONSTANT text := 'pgbudget kept this: ';
    v_comment text := obj_description(c_old, 'pg_proc');
    v_kept jsonb;
    v_grant record;
BEGIN
    IF c_old IS NULL THEN
        RETURN;
    END IF;
    IF starts_with(v_comment, c_kept) THEN
        v_kept := substr(v_comment, length(c_kept) + 1);
        EXECUTE format('COMMENT ON FUNCTION %s IS %L', c_old, v_kept ->> 'comment');
    END IF;
    FOR v_grant IN
        SELECT g."to" AS grantee, CASE WHEN g.grantable THEN 'WITH GRANT OPTION' ELSE '' END AS with_option
        FROM jsonb_to_recordset(v_kept -> 'grants') AS g ("to" text, grantable boolean)
        WHERE g."to" = 'PUBLIC' OR to_regrole(g."to") IS NOT NULL -- a role may have been dropped since
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s %s', c_old, v_grant.grantee, v_grant.with_option);
    END LOOP;
    ALTER FUNCTION public.check_and_reserve_budget_before_pgbudget(numeric, text, jsonb)
    RENAME TO check_and_reserve_budget;
END
$do$;

DO $do$
BEGIN
    -- Without the index callers of ours are slow, and keep the table busy; they take this lock first.
    PERFORM budget._in_short_tries(
        ARRAY[
            'SELECT pg_advisory_xact_lock(8099550711184319860)',
            'LOCK TABLE public.cost_tracking IN SHARE UPDATE EXCLUSIVE MODE'
        ],
        ARRAY['LOCK TABLE public.cost_tracking IN ACCESS EXCLUSIVE MODE'],
        'public.cost_tracking'
    );
    DROP TRIGGER IF EXISTS budget_adopt_hold ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_guard_hold ON public.cost_tracking;
END
$do$;

RESET search_path;
