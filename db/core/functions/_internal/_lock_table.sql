-- For migrations on a live database: a strong lock is asked for in short tries, so that whoever queues behind it waits
-- a quarter of a second at most, and not for as long as the busiest transaction takes.
CREATE OR REPLACE FUNCTION budget._lock_table(p_table regclass, p_mode text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_tries CONSTANT integer := 60;
    v_lock_timeout text := current_setting('lock_timeout');
BEGIN
    PERFORM set_config('lock_timeout', '250ms', true);
    FOR v_try IN 1 .. c_tries LOOP
        BEGIN
            EXECUTE format('LOCK TABLE %s IN %s MODE', p_table, p_mode);
            PERFORM set_config('lock_timeout', v_lock_timeout, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.25 + random() * 0.25);
        END;
    END LOOP;
    RAISE EXCEPTION 'the table % is too busy to be changed now', p_table
        USING ERRCODE = '55P03',
        DETAIL = format('Its %s lock was not to be had in %s tries.', p_mode, c_tries),
        HINT = 'Nothing was changed. End long transactions on the table (pg_stat_activity) and migrate again.';
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_table(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_table(regclass, text) IS
'Locks a table until the end of the transaction, by polling. Errors: 55P03.';
