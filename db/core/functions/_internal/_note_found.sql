-- The rights of what is here already are those that its DBA wants. Internal functions are for nobody, except what the
-- views call.
CREATE OR REPLACE FUNCTION budget._note_found()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM set_config('pgbudget.found', array(
        SELECT p.oid
        FROM pg_proc AS p
        WHERE
            p.pronamespace = 'budget'::regnamespace
            AND (
                NOT starts_with(p.proname, '_')
                OR EXISTS (
                    SELECT
                    FROM pg_depend AS d
                    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
                )
            )
        UNION ALL
        SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'budget'::regnamespace
    )::text, false);
    -- Where the triggers of the series budgets keep balances, decisions read them, and go on doing so.
    PERFORM set_config('pgbudget.in_force', coalesce((
        SELECT
            string_agg(
                format(
                    '%s; COMMENT ON FUNCTION %s IS %L;',
                    pg_get_functiondef(p.oid), p.oid::regprocedure, obj_description(p.oid, 'pg_proc')
                ),
                ' '
            )
        FROM pg_proc AS p
        WHERE
            p.pronamespace = 'budget'::regnamespace
            AND p.proname IN ('_serialise', '_headroom', '_drift')
            AND EXISTS (
                SELECT
                FROM pg_trigger AS t
                WHERE t.tgrelid = to_regclass('public.cost_tracking') AND t.tgname = 'budget_post_insert'
            )
    ), ''), false);
END
$function$;

REVOKE ALL ON FUNCTION budget._note_found() FROM PUBLIC;
COMMENT ON FUNCTION budget._note_found() IS
'For migrations, which may run again, before they create anything: notes what budget._keep_found is to keep.';
