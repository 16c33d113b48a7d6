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
