-- Decisions are core's again before the balances are left behind. Writers of the ledger wait for this short while.

SET search_path = pg_catalog, pg_temp;

-- begin guard
-- From here on functions of the schema run, and whoever owns them can change them.
DO $do$
DECLARE
    v_owner text := (
        SELECT r.rolname
        FROM pg_namespace AS n
        INNER JOIN pg_roles AS r ON n.nspowner = r.oid
        WHERE n.nspname = 'budget' AND r.rolname <> current_user AND NOT r.rolsuper
    );
BEGIN
    IF v_owner IS NOT NULL AND NOT coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean THEN
        RAISE EXCEPTION 'the schema budget belongs to another role, whose code would run with the rights of %', current_user
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', v_owner),
            HINT = 'Nothing was changed. Go on as its owner; or, if you trust it with your own rights, with '
                '--accept-owner or the setting pgbudget.accept_owner = on.';
    END IF;
END
$do$;
-- end guard

-- begin compiled
CREATE OR REPLACE FUNCTION budget._drift()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN; -- the day is summed from the ledger: there is no balance that could differ
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS 'Balances that differ from the sum of their ledger rows: none in this series.';

-- Settled rows have no expires_at, so that one index range and no look into the metadata gives the day. A lapsed hold
-- counts nothing from its instant, unless lapsing means spending.
-- One plan serves every day. Left to itself, PostgreSQL guesses that the day is a fixed share of the ledger, finds that
-- dear once the ledger is large, and plans the sum anew in every call.
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
SET plan_cache_mode = 'force_generic_plan'
AS $function$
DECLARE
    -- Holds that lapse up to this instant count nothing.
    v_lapsed timestamptz := CASE p_config.on_expiry WHEN 'keep' THEN '-infinity' ELSE p_now END;
    v_window record := budget._window(coalesce(p_hold.created_at, p_now), p_config.timezone);
    v_counted numeric := CASE WHEN p_hold.id IS NULL THEN 0 ELSE budget._counted(p_config, p_now, p_hold) END;
    v_missing numeric;
    v_freed record;
    v_verdict budget.verdict;
BEGIN
    v_verdict.budget := 'daily';
    v_verdict.limit_amount := p_config.emergency_kill;
    v_verdict.resets_at := v_window.ends_at;

    SELECT coalesce(sum(l.cost), 0)
    INTO v_verdict.current_total
    FROM public.cost_tracking AS l
    WHERE
        l.created_at >= v_window.starts_at
        AND l.created_at < v_window.ends_at
        AND (l.expires_at IS NULL OR l.expires_at > v_lapsed);
    v_verdict.remaining := v_verdict.limit_amount - v_verdict.current_total;

    -- A hold that is extended gives back what it counts already, and one that asks for no more takes from nobody.
    v_missing := p_amount - v_counted - v_verdict.remaining;
    v_verdict.can_proceed := v_missing <= 0 OR (p_hold.id IS NOT NULL AND p_amount <= v_counted);
    IF v_verdict.can_proceed THEN
        v_verdict.reason := 'granted';
    ELSIF p_amount > v_verdict.limit_amount THEN
        v_verdict.reason := 'too_large';
    ELSE
        v_freed := budget._freed(
            v_missing, p_now, v_window.starts_at, v_window.ends_at, p_hold.id, p_config.on_expiry, '*', '*'
        );
        v_verdict.reason := CASE WHEN v_freed.is_enough THEN 'in_flight' ELSE 'exhausted' END;
        -- Of a window that has ended there is no reset to wait for.
        v_verdict.retry_at := least(
            CASE WHEN v_verdict.resets_at > p_now THEN v_verdict.resets_at END, v_freed.enough_at
        );
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._headroom(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._headroom(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'Is there room for the amount? For a new hold (p_hold null) in the window of p_now, for a hold that is extended in its
own window, where its amount counts once. Service and metadata choose the budget in series that have many.';

-- Between core's decisions and those of this series, both variants serialise on the advisory lock: who waits for a
-- table lock holds a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn. The ledger comes first, as in the
-- decisions before and after: of two orders, each would wait for the other.
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
BEGIN
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    PERFORM pg_advisory_xact_lock(8099550711184319860);
    decided_at := budget._now();
    config := budget._require_config();
END
$function$;

REVOKE ALL ON FUNCTION budget._serialise(text, budget._posting[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._serialise(text, budget._posting[]) IS
'Takes ROW EXCLUSIVE on the ledger and the transaction-level advisory lock 8099550711184319860, whatever p_lock says,
until the end of the transaction. Returns the instant of the decision and the limits in force, both read under the locks.
Errors: PB005; 55P03.';
-- end compiled

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE');
    DROP TRIGGER IF EXISTS budget_post_insert ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_post_update ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_post_delete ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_post_truncate ON public.cost_tracking;
    -- Calls that wait here had begun to decide by balances, which nobody keeps from here on: one after the other, then,
    -- by the ledger.
    UPDATE budget.budgets AS b SET slots = 1 WHERE b.name = 'daily';
END
$do$;

RESET search_path;
