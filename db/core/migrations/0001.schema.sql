-- The schema, its roles and its types. Takes no lock on a table of the application.

-- Roles belong to the cluster: another database may have made them, or be making them at this moment.
DO $do$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['budget_caller', 'budget_admin', 'budget_reader'] LOOP
        IF to_regrole(v_role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
    IF to_regrole('service_role') IS NOT NULL THEN
        GRANT budget_caller TO service_role;
    END IF;
END
$do$;

CREATE SCHEMA IF NOT EXISTS budget;

REVOKE ALL ON SCHEMA budget FROM PUBLIC;

GRANT USAGE ON SCHEMA budget TO budget_caller, budget_admin, budget_reader;

COMMENT ON SCHEMA budget IS 'pgbudget: a spend limit that the database itself enforces.';

DO $do$
BEGIN
    IF to_regtype('budget.verdict') IS NULL THEN
        CREATE TYPE budget.verdict AS (
            can_proceed boolean,
            current_total numeric,
            reservation_id uuid,
            reason text,
            budget text,
            limit_amount numeric,
            remaining numeric,
            resets_at timestamptz,
            retry_at timestamptz,
            expires_at timestamptz
        );
    END IF;
    IF to_regtype('budget.outcome') IS NULL THEN
        CREATE TYPE budget.outcome AS (
            reservation_id uuid,
            status text,
            estimated_cost numeric,
            actual_cost numeric,
            over_limit boolean,
            late boolean
        );
    END IF;
    IF to_regtype('budget._config') IS NULL THEN
        CREATE TYPE budget._config AS (
            daily_soft_cap numeric,
            daily_hard_cap numeric,
            emergency_kill numeric,
            timezone text,
            reservation_ttl interval,
            on_expiry text,
            exempt_services text[],
            frozen boolean,
            error text
        );
    END IF;
END
$do$;

COMMENT ON TYPE budget.verdict IS 'The answer to a reservation: may the call go on, and why or why not.';

COMMENT ON TYPE budget.outcome IS 'What became of a hold, or of spend that had none.';

COMMENT ON TYPE budget._config IS 'The limits in force, read once per call.';

-- begin functions/_internal/_lock_table.sql
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
-- end functions/_internal/_lock_table.sql
