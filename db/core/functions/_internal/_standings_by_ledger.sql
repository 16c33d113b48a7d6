-- Lock first, then one reading of the clock, then limits and sum: each of them is a statement of its own, so that it
-- sees all that was committed before the lock was granted. The two variants exclude each other: the advisory one holds
-- ROW EXCLUSIVE on the ledger, which the table lock of the other cannot share. The key spells "pgbudget" in ASCII; it
-- is published so that a DBA finds it in pg_locks.
-- Settled rows have no expires_at, so that one index range and no look into the metadata gives the day. A lapsed hold
-- counts nothing from its instant, unless lapsing means spending.
-- One plan serves every day. Left to itself, PostgreSQL guesses that the day is a fixed share of the ledger, finds that
-- dear once the ledger is large, and plans the sum anew in every call.
CREATE OR REPLACE FUNCTION budget._standings_by_ledger(p_requests budget._request[], p_lock text)
RETURNS budget._decision
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_generic_plan'
AS $function$
DECLARE
    v_decision budget._decision;
    v_policy budget._policy;
    v_day record;
    v_lapsed timestamptz; -- holds that lapse up to this instant count nothing
    v_total numeric;
    v_held numeric;
BEGIN
    IF p_lock IS NOT NULL THEN
        BEGIN
            IF p_lock = 'advisory' THEN
                LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
                PERFORM pg_advisory_xact_lock(8099550711184319860);
            ELSIF (
                SELECT
                    bool_and(i.indisvalid)
                    AND 2 = count(*) FILTER (
                        WHERE i.indexrelid IN (to_regclass('public.budget_day_idx'), to_regclass('public.budget_expiry_idx'))
                    )
                FROM pg_index AS i
                WHERE i.indrelid = 'public.cost_tracking'::regclass
            ) THEN
                LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE;
            ELSE
                -- Whoever waits for a table lock has a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn:
                -- while an index is missing or being built, the advisory lock serves both. It comes first here: without
                -- the index a sum takes long, and whoever waits for his turn must not keep the table's lock meanwhile.
                PERFORM pg_advisory_xact_lock(8099550711184319860);
                LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
            END IF;
        EXCEPTION
            WHEN lock_not_available THEN
                PERFORM budget._refuse_wait(p_lock, ARRAY[8099550711184319860]);
        END;
    END IF;
    v_decision.decided_at := budget._now();
    v_policy := budget._policy_in_force();
    v_day := budget._day(coalesce(p_requests[1].created_at, v_decision.decided_at), v_policy.timezone);
    v_lapsed := CASE v_policy.on_expiry WHEN 'keep' THEN '-infinity' ELSE v_decision.decided_at END;
    SELECT coalesce(sum(l.cost), 0), coalesce(sum(l.cost) FILTER (WHERE l.expires_at > v_decision.decided_at), 0)
    INTO v_total, v_held
    FROM public.cost_tracking AS l
    WHERE
        l.created_at >= v_day.starts_at
        AND l.created_at < v_day.ends_at
        AND (l.expires_at IS NULL OR l.expires_at > v_lapsed);
    v_decision.policy := v_policy;
    v_decision.standings := ARRAY[
        ROW(
            'daily', '*', '*', v_day.starts_at, v_day.ends_at, v_policy.emergency_kill, v_total, v_held, true, 1, 0,
            p_requests[1].amount
        )::budget._standing
    ];
    RETURN v_decision;
END
$function$;

REVOKE ALL ON FUNCTION budget._standings_by_ledger(budget._request[], text) FROM PUBLIC;
COMMENT ON FUNCTION budget._standings_by_ledger(budget._request[], text) IS
'Where the day of the first request stands, summed over the ledger. p_lock: table takes SHARE ROW EXCLUSIVE on the
ledger; advisory takes ROW EXCLUSIVE on it and the transaction-level advisory lock 8099550711184319860; null takes none.
Errors: 55P03.';
