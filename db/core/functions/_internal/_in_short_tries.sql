-- For what changes a live database: strong locks are asked for in short tries, and not for as long as the busiest
-- transaction takes. What a try has locked it gives back after a quarter of a second, if it waits for more. So whoever
-- queues behind it goes on soon; and should he hold what the try waits for, it has given way before he looks for a
-- deadlock (deadlock_timeout, 1 s), whatever the order.
CREATE OR REPLACE FUNCTION budget._in_short_tries(p_turns text[], p_statements text[], p_what text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_try CONSTANT interval := interval '250 milliseconds';
    v_lock_timeout text := current_setting('lock_timeout');
    v_patience interval := coalesce(nullif(current_setting('pgbudget.lock_patience', true), ''), '30s')::interval;
    v_deadline timestamptz := clock_timestamp() + v_patience;
    v_left interval;
    v_until timestamptz;
    v_statement text;
BEGIN
    LOOP
        BEGIN
            PERFORM set_config('lock_timeout', (1 + 1000 * extract(EPOCH FROM v_patience))::integer::text, true);
            FOREACH v_statement IN ARRAY p_turns LOOP
                EXECUTE v_statement;
            END LOOP;
            v_until := NULL;
            FOREACH v_statement IN ARRAY p_statements LOOP
                v_left := greatest(interval '1 millisecond', coalesce(v_until - clock_timestamp(), c_try));
                PERFORM set_config('lock_timeout', ceil(1000 * extract(EPOCH FROM v_left))::text, true);
                EXECUTE v_statement;
                v_until := coalesce(v_until, clock_timestamp() + c_try);
            END LOOP;
            PERFORM set_config('lock_timeout', v_lock_timeout, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > v_deadline THEN
                RAISE EXCEPTION 'too busy to be changed now: %', p_what
                    USING ERRCODE = '55P03',
                    DETAIL = format('There was not within %s: %s', v_patience, v_statement),
                    HINT = 'This step changed nothing. End the long transactions on it (pg_stat_activity, pg_locks) and '
                        'migrate again, which resumes here; or wait longer with the setting pgbudget.lock_patience.';
            END IF;
        END;
        PERFORM pg_sleep(0.25 + random() * 0.25);
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._in_short_tries(text[], text[], text) FROM PUBLIC;
COMMENT ON FUNCTION budget._in_short_tries(text[], text[], text) IS
'Runs statements that lock, all of them in one try or none, for at most pgbudget.lock_patience (30s). Before each try it
waits as long as need be for the p_turns, which are to keep no plain writer waiting. Errors: 55P03.';
