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
