-- The one clock. Tests replace this function to move time; production has no other way to do so.
CREATE OR REPLACE FUNCTION budget._now()
RETURNS timestamptz
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN clock_timestamp();
END
$function$;

REVOKE ALL ON FUNCTION budget._now() FROM PUBLIC;
COMMENT ON FUNCTION budget._now() IS 'The clock that every rule reads.';
