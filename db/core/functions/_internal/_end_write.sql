CREATE OR REPLACE FUNCTION budget._end_write(p_lock_timeout text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM set_config('lock_timeout', p_lock_timeout, true);
END
$function$;

REVOKE ALL ON FUNCTION budget._end_write(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._end_write(text) IS 'Gives the caller its lock_timeout back.';
