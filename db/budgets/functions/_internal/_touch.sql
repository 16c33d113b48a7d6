CREATE OR REPLACE FUNCTION budget._touch()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    UPDATE budget.budgets AS b SET slots = b.slots WHERE b.name = 'daily';
END
$function$;

REVOKE ALL ON FUNCTION budget._touch() FROM PUBLIC;
COMMENT ON FUNCTION budget._touch() IS
'After a change of what is posted where: a writer whose snapshot is older meets it here (budget._post), and repeats.';
