CREATE OR REPLACE FUNCTION budget.version()
RETURNS text
LANGUAGE sql
IMMUTABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT '1.0'::text;
$function$;

REVOKE ALL ON FUNCTION budget.version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.version() TO budget_caller, budget_admin, budget_reader;
COMMENT ON FUNCTION budget.version() IS
'The version of this API, major.minor. A driver refuses a database that is behind it. Locks: none.';
