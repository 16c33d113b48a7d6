-- A validated constraint is undone with the constraint itself.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    NULL;
END
$do$;

RESET search_path;
