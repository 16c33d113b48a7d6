CREATE OR REPLACE FUNCTION budget._end_write(p_lock_timeout text)
RETURNS text
LANGUAGE sql
VOLATILE
AS $function$
    SELECT set_config('lock_timeout', p_lock_timeout, true)
$function$;

REVOKE ALL ON FUNCTION budget._end_write(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._end_write(text) IS 'Gives the caller its lock_timeout back.';
