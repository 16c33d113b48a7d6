-- Each balance that a decision depends on is locked, in one order. The advisory lock is shared among these decisions;
-- it keeps out a call of the core series that was under way when this one was applied, and the other way round. A try
-- that found no room in its own slots, or waited while a limit changed or into the next window, gives them back.
CREATE OR REPLACE FUNCTION budget._serialise(
    p_lock text,
    p_postings budget._posting[],
    OUT decided_at timestamptz,
    OUT config budget._config
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_services text[] := ARRAY(SELECT p.service_name FROM unnest(p_postings) AS p);
    v_before budget._config;
    v_match budget._match;
    v_whole text[] := '{}';
    v_matched_at timestamptz;
    v_ends_at timestamptz;
    v_has_shares boolean;
BEGIN
    decided_at := budget._now();
    -- Not where a hold is extended: it may be one of those that have lapsed.
    IF p_postings[1].created_at IS NULL THEN
        PERFORM budget._reclaim(decided_at);
    END IF;
    LOOP
        BEGIN
            LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
            PERFORM pg_advisory_xact_lock_shared(8099550711184319860);
            v_before := budget._require_config();
            decided_at := budget._now();
            v_matched_at := decided_at;
            v_ends_at := 'infinity';
            v_has_shares := false;
            FOR v_match IN SELECT m.* FROM budget._matching(v_before, p_postings, decided_at) AS m LOOP
                IF NOT budget._lock_balance(
                    v_match,
                    v_match.enforcement = 'block' AND NOT v_before.exempt_services ?& v_services,
                    v_match.budget = ANY (v_whole)
                ) THEN
                    v_whole := v_whole || v_match.budget;
                    RAISE EXCEPTION USING ERRCODE = 'PB099';
                END IF;
                v_ends_at := least(v_ends_at, v_match.ends_at);
                v_has_shares := v_has_shares OR (v_match.slots > 1 AND v_match.budget <> 'daily');
            END LOOP;
            decided_at := budget._now();
            config := budget._require_config();
            IF config IS DISTINCT FROM v_before
                OR (p_postings[1].created_at IS NULL AND decided_at >= v_ends_at)
                -- Several may each have found room of a raise in their own slots.
                OR (
                    v_has_shares
                    AND EXISTS (
                        SELECT FROM budget.budgets AS b WHERE b.extra_until > v_matched_at AND b.extra_until <= decided_at
                    )
                )
            THEN
                RAISE EXCEPTION USING ERRCODE = 'PB099';
            END IF;
            RETURN;
        EXCEPTION
            WHEN SQLSTATE 'PB099' THEN
                NULL; -- once more
            WHEN lock_not_available THEN
                RAISE EXCEPTION 'the budget is busy: no decision lock within %', current_setting('lock_timeout')
                    USING ERRCODE = '55P03',
                    DETAIL = 'Waited for the balance of a budget, or for the ledger public.cost_tracking.',
                    HINT = 'Nothing was reserved; try again. pg_blocking_pids() names the session that holds the lock.';
        END;
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._serialise(text, budget._posting[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._serialise(text, budget._posting[]) IS
'Locks the balances that a request depends on until the end of the transaction, with ROW EXCLUSIVE on the ledger and a
shared advisory lock 8099550711184319860; p_lock makes no difference. Returns the instant of the decision and the
limits in force, both read under the locks. Errors: PB005; 55P03.';
