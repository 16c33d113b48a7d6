-- Both settings are made for the transaction, not for the function: a setting that ends with the function would be
-- gone before the commit that it is to protect.
CREATE OR REPLACE FUNCTION budget._begin_write()
RETURNS text
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_lock_timeout text := current_setting('lock_timeout');
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        SET LOCAL synchronous_commit = on;
    END IF;
    IF v_lock_timeout = '0' OR v_lock_timeout::interval > interval '5 seconds' THEN
        SET LOCAL lock_timeout = '5s';
    END IF;
    RETURN v_lock_timeout;
END
$function$;

REVOKE ALL ON FUNCTION budget._begin_write() FROM PUBLIC;
COMMENT ON FUNCTION budget._begin_write() IS
'Makes the commit durable and bounds each wait for a lock to 5 s or the caller''s own lock_timeout if that is shorter.
Returns the caller''s lock_timeout, for budget._end_write.';
