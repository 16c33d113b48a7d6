-- depends: 0003.pgbudget_budgets_functions
-- From here on every writer of the ledger keeps the balances, and decisions read them. Writers wait for this short
-- transaction, which sums the day once.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._lock_table('public.system_config, public.cost_tracking', 'SHARE ROW EXCLUSIVE');
    CREATE OR REPLACE TRIGGER budget_post_insert
    AFTER INSERT ON public.cost_tracking
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

    CREATE OR REPLACE TRIGGER budget_post_update
    AFTER UPDATE ON public.cost_tracking
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

    CREATE OR REPLACE TRIGGER budget_post_delete
    AFTER DELETE ON public.cost_tracking
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

    CREATE OR REPLACE TRIGGER budget_post_truncate
    AFTER TRUNCATE ON public.cost_tracking
    FOR EACH STATEMENT EXECUTE FUNCTION budget._forget_balances();

    CREATE OR REPLACE TRIGGER budget_rezone
    AFTER INSERT OR UPDATE OR DELETE ON public.system_config
    FOR EACH ROW EXECUTE FUNCTION budget._rezone();

    PERFORM budget._rebuild(budget._read_config(), b.name) FROM budget.budgets AS b;
END
$do$;

-- begin functions/_internal/_serialise.sql
-- Each balance that a decision depends on is locked, in one order. The advisory lock is shared among these decisions;
-- it keeps out a call of the core series that was under way when this one was applied, and the other way round. A try
-- that found no room in its own slots, or waited while the limits changed or into the next window, gives them back.
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
    v_ends_at timestamptz;
BEGIN
    decided_at := budget._now();
    -- What has lapsed and is not marked is looked at by every decision: so many are not left to the sweeper. Not where a
    -- hold is extended: it may be one of them.
    IF p_postings[1].created_at IS NULL AND 100 < (
        SELECT count(*)
        FROM (
            SELECT FROM public.cost_tracking AS l WHERE l.expires_at <= decided_at ORDER BY l.expires_at LIMIT 101
        ) AS t
    ) THEN
        PERFORM budget.expire(1000);
    END IF;
    LOOP
        BEGIN
            LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
            PERFORM pg_advisory_xact_lock_shared(8099550711184319860);
            v_before := budget._require_config();
            decided_at := budget._now();
            v_ends_at := 'infinity';
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
            END LOOP;
            decided_at := budget._now();
            config := budget._require_config();
            IF config IS DISTINCT FROM v_before
                OR (p_postings[1].created_at IS NULL AND decided_at >= v_ends_at)
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
-- end functions/_internal/_serialise.sql

-- begin functions/_internal/_headroom.sql
-- All matching budgets must have room. Granted, the verdict is the day's; refused, that of the budget that keeps the
-- caller waiting longest. Who asks for nothing is refused by the day alone.
CREATE OR REPLACE FUNCTION budget._headroom(
    p_config budget._config,
    p_amount numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_hold public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_counted numeric := budget._counted(p_config, p_now, p_hold);
    v_match budget._match;
    v_missing numeric;
    v_freed record;
    v_one budget.verdict;
    v_verdict budget.verdict;
BEGIN
    FOR v_match IN
        SELECT m.*
        FROM budget._matching(
            p_config,
            ARRAY[
                ROW(
                    p_service_name,
                    CASE WHEN p_hold.id IS NULL THEN p_metadata ELSE budget._request(p_hold.metadata) END,
                    p_hold.created_at,
                    p_amount
                )::budget._posting
            ],
            p_now
        ) AS m
    LOOP
        v_one := NULL;
        v_one.budget := v_match.budget;
        v_one.limit_amount := v_match.limit_amount;
        v_one.resets_at := nullif(v_match.ends_at, 'infinity');
        v_one.current_total := budget._balance(
            p_config, v_match.budget, v_match.dimension, v_match.member, v_match.starts_at, v_match.ends_at, p_now
        );
        v_one.remaining := v_one.limit_amount - v_one.current_total;

        -- A hold that is extended gives back what it counts already, and one that asks for no more takes from nobody.
        v_missing := p_amount - v_counted - v_one.remaining;
        v_one.can_proceed := v_missing <= 0
            OR (p_hold.id IS NOT NULL AND p_amount <= v_counted)
            OR v_match.enforcement = 'warn'
            OR (p_amount = 0 AND v_match.budget <> 'daily');
        IF v_one.can_proceed THEN
            v_one.reason := 'granted';
        ELSIF p_amount > v_one.limit_amount THEN
            v_one.reason := 'too_large';
        ELSE
            v_freed := budget._freed(
                v_missing, p_now, v_match.starts_at, v_match.ends_at, p_hold.id, p_config.on_expiry,
                v_match.dimension, v_match.member
            );
            v_one.reason := CASE WHEN v_freed.held >= v_missing THEN 'in_flight' ELSE 'exhausted' END;
            v_one.retry_at := least(v_one.resets_at, v_freed.enough_at);
        END IF;

        IF v_verdict.budget IS NULL
            OR (v_one.can_proceed AND v_verdict.can_proceed AND v_one.budget = 'daily')
            OR (NOT v_one.can_proceed AND v_verdict.can_proceed)
            OR (
                NOT v_one.can_proceed
                AND coalesce(v_one.retry_at, 'infinity') > coalesce(v_verdict.retry_at, 'infinity')
            )
        THEN
            v_verdict := v_one;
        END IF;
    END LOOP;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._headroom(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._headroom(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'Is there room for the amount in all budgets that it belongs to? For a new hold (p_hold null) in the windows of p_now,
for a hold that is extended in its own windows, where its amount counts once.';
-- end functions/_internal/_headroom.sql

-- begin functions/_internal/_drift.sql
CREATE OR REPLACE FUNCTION budget._drift()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN QUERY
    SELECT a.budget, a.member, a.starts_at, a.amount + p.amount, s.amount
    FROM budget.budgets AS b
    INNER JOIN (
        SELECT
            o.budget, o.member, o.starts_at, o.ends_at,
            sum(o.amount) AS amount, sum(o.amount + o.room - o.room_of) AS misspread
        FROM budget.balances AS o
        GROUP BY o.budget, o.member, o.starts_at, o.ends_at
    ) AS a ON b.name = a.budget
    CROSS JOIN LATERAL budget._ledger_sum(b.dimension, a.member, a.starts_at, a.ends_at) AS s (amount)
    CROSS JOIN LATERAL budget._posted(a.budget, a.member, a.starts_at) AS p (amount)
    WHERE s.amount <> a.amount + p.amount OR a.misspread <> 0
    ORDER BY a.budget, a.member, a.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS
'The balances that, with their postings, are not the sum of their ledger rows, or whose slots have not the room of their
limit. None when healthy.';
-- end functions/_internal/_drift.sql

RESET search_path;
