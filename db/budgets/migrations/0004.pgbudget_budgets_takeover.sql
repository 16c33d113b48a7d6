-- depends: 0003.pgbudget_budgets_functions
-- From here on every writer of the ledger keeps the balances, and decisions read them. Writers wait for this short
-- transaction, which sums the day once.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE ROW EXCLUSIVE');
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

    PERFORM budget._rebuild(budget._read_config(), b.name) FROM budget.budgets AS b;
END
$do$;

-- begin functions/_internal/_serialise.sql
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
            v_one.reason := CASE WHEN v_freed.is_enough THEN 'in_flight' ELSE 'exhausted' END;
            -- Of a window that has ended there is no reset to wait for.
            v_one.retry_at := least(CASE WHEN v_one.resets_at > p_now THEN v_one.resets_at END, v_freed.enough_at);
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
DECLARE
    v_config budget._config := budget._read_config();
    v_now timestamptz := budget._now();
BEGIN
    RETURN QUERY
    WITH windows AS MATERIALIZED (
        SELECT b.name, b.dimension, b.member, w.starts_at, w.ends_at, w.ends_at > b.counted_from AS is_counted
        FROM budget.budgets AS b
        INNER JOIN (
            SELECT o.budget, o.starts_at, o.ends_at FROM budget.balances AS o
            UNION
            SELECT o.budget, o.starts_at, o.ends_at FROM budget.postings AS o
            UNION
            SELECT c.name, n.starts_at, n.ends_at
            FROM budget.budgets AS c
            CROSS JOIN LATERAL budget._period(c.period, v_now, coalesce(c.timezone, v_config.timezone)) AS n
            WHERE c.is_active
        ) AS w ON b.name = w.budget
    ),

    spent AS (
        SELECT w.name, m.member, w.starts_at, w.is_counted, sum(l.cost) AS amount
        FROM windows AS w
        INNER JOIN public.cost_tracking AS l ON l.created_at >= w.starts_at AND l.created_at < w.ends_at
        CROSS JOIN LATERAL budget._member(w.dimension, l.service_name, budget._request(l.metadata)) AS m (member)
        WHERE isfinite(l.created_at) AND (w.member = m.member OR (w.member IS NULL AND m.member IS NOT NULL))
        GROUP BY w.name, m.member, w.starts_at, w.is_counted
    ),

    counted AS (
        SELECT
            w.name, o.member, w.starts_at, w.is_counted, bool_or(o.is_balance) AS is_open,
            sum(o.amount) AS amount, sum(o.misspread) AS misspread
        FROM windows AS w
        INNER JOIN (
            SELECT e.budget, e.member, e.starts_at, true AS is_balance, e.amount, e.amount + e.room - e.room_of AS misspread
            FROM budget.balances AS e
            UNION ALL
            SELECT e.budget, e.member, e.starts_at, false, e.amount, 0 FROM budget.postings AS e
        ) AS o ON w.name = o.budget AND w.starts_at = o.starts_at
        GROUP BY w.name, o.member, w.starts_at, w.is_counted
    )

    SELECT x.name, x.member, x.starts_at, coalesce(c.amount, 0), coalesce(s.amount, 0)
    FROM counted AS c
    FULL JOIN spent AS s USING (name, member, starts_at) AS x
    WHERE
        (c.is_open OR coalesce(c.is_counted, s.is_counted))
        AND (coalesce(c.amount, 0) <> coalesce(s.amount, 0) OR c.misspread <> 0)
    ORDER BY x.name, x.member, x.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS
'The balances that, with their postings, are not the sum of their ledger rows, or whose slots have not the room of their
limit. None when healthy.';
-- end functions/_internal/_drift.sql

RESET search_path;
