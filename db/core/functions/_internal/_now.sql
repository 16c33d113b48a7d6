-- The one clock. Tests replace this function to move time; production has no other way to do so.
CREATE OR REPLACE FUNCTION budget._now()
RETURNS timestamptz
LANGUAGE sql
VOLATILE
AS $function$
    SELECT clock_timestamp()
$function$;

REVOKE ALL ON FUNCTION budget._now() FROM PUBLIC;
COMMENT ON FUNCTION budget._now() IS 'The current instant; read it after taking a lock, never before.';
