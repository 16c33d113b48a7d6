-- Each balance that a decision depends on is locked, in one order. The advisory lock is shared among these decisions; it
-- keeps out a call of the core series that was under way when this one was applied, and the other way round. Where the
-- wait has led into the next window, that one is locked too.
CREATE OR REPLACE FUNCTION budget._serialise(
    p_lock text, p_service_name text, p_metadata jsonb, p_hold_at timestamptz
)
RETURNS timestamptz
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_config budget._config;
    v_match record;
    v_now timestamptz;
    v_ends_at timestamptz;
BEGIN
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    PERFORM pg_advisory_xact_lock_shared(8099550711184319860);
    v_config := budget._read_config();
    v_now := budget._now();
    LOOP
        v_ends_at := 'infinity';
        FOR v_match IN
            SELECT m.* FROM budget._matching(v_config, p_service_name, p_metadata, coalesce(p_hold_at, v_now)) AS m
        LOOP
            PERFORM
            FROM budget.balances AS b
            WHERE b.budget = v_match.budget AND b.member = v_match.member AND b.starts_at = v_match.starts_at
            FOR NO KEY UPDATE;
            IF NOT FOUND AND NOT budget._open_balance(
                v_match.budget, v_match.dimension, v_match.member, v_match.starts_at, v_match.ends_at
            ) THEN
                PERFORM
                FROM budget.balances AS b
                WHERE b.budget = v_match.budget AND b.member = v_match.member AND b.starts_at = v_match.starts_at
                FOR NO KEY UPDATE;
            END IF;
            v_ends_at := least(v_ends_at, v_match.ends_at);
        END LOOP;
        v_now := budget._now();
        EXIT WHEN p_hold_at IS NOT NULL OR v_now < v_ends_at;
    END LOOP;
    RETURN v_now;
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION 'the budget is busy: no decision lock within %', current_setting('lock_timeout')
            USING ERRCODE = '55P03',
            DETAIL = 'Waited for the balance of a budget, or for the ledger public.cost_tracking.',
            HINT = 'Nothing was reserved; try again. pg_blocking_pids() names the session that holds the lock.';
END
$function$;

REVOKE ALL ON FUNCTION budget._serialise(text, text, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._serialise(text, text, jsonb, timestamptz) IS
'Locks the balances that a request depends on until the end of the transaction, with ROW EXCLUSIVE on the ledger and a
shared advisory lock 8099550711184319860; p_lock makes no difference. Returns the instant of the decision, read under
the locks. Errors: 55P03.';
