-- Ours is known by what it calls and whose it is: anybody can write the same words into a function of his own.
CREATE OR REPLACE FUNCTION budget._adopted_function()
RETURNS regprocedure
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN (
        SELECT p.oid::regprocedure
        FROM pg_proc AS p
        WHERE
            p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
            AND NOT (
                p.prosrc LIKE '%budget.reserve(%'
                AND p.proowner IN (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'budget')
            )
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._adopted_function() FROM PUBLIC;
COMMENT ON FUNCTION budget._adopted_function() IS
'The application''s own check_and_reserve_budget, if ours has not taken its place; else NULL.';
