-- For migrations on a live database: a strong lock is asked for in short tries, so that whoever queues behind it waits
-- a quarter of a second at most, and not for as long as the busiest transaction takes. Several tables are locked in
-- one try or not at all, so that none is kept from its writers while another is busy.
CREATE OR REPLACE FUNCTION budget._lock_table(p_tables text, p_mode text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_lock_timeout text := current_setting('lock_timeout');
    v_patience interval := coalesce(nullif(current_setting('pgbudget.lock_patience', true), ''), '30s')::interval;
    v_deadline timestamptz := clock_timestamp() + v_patience;
BEGIN
    LOOP
        BEGIN
            -- No plain writer queues behind this one, so it may take its turn among those who lock the table to reserve,
            -- and wait for an autovacuum to give way; both are shut out then, while the strong lock is asked for.
            PERFORM set_config('lock_timeout', (1 + 1000 * extract(EPOCH FROM v_patience))::integer::text, true);
            EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', p_tables);
            PERFORM set_config('lock_timeout', '250ms', true);
            EXECUTE format('LOCK TABLE %s IN %s MODE', p_tables, p_mode);
            PERFORM set_config('lock_timeout', v_lock_timeout, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > v_deadline THEN
                RAISE EXCEPTION 'too busy to be changed now: %', p_tables
                    USING ERRCODE = '55P03',
                    DETAIL = format('No %s lock was to be had within %s.', p_mode, v_patience),
                    HINT = 'This step changed nothing. End the long transactions on it (pg_stat_activity, pg_locks) and '
                        'migrate again, which resumes here; or wait longer with the setting pgbudget.lock_patience.';
            END IF;
        END;
        PERFORM pg_sleep(0.25 + random() * 0.25);
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_table(text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_table(text, text) IS
'Locks tables, named with commas between them, until the end of the transaction, by polling for at most
pgbudget.lock_patience (30s). Errors: 55P03.';
