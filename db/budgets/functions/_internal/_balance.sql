-- A hold that has lapsed counts nowhere, marked or not. Mostly there is none that is not marked yet.
CREATE OR REPLACE FUNCTION budget._balance(
    p_config budget._config,
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_now timestamptz
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric;
    v_posted numeric;
    v_lapsed_first timestamptz;
BEGIN
    SELECT
        (
            SELECT sum(b.amount)
            FROM budget.balances AS b
            WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at
        ),
        budget._posted(p_budget, p_member, p_starts_at),
        -- By the index, whatever the planner knows of the ledger.
        (SELECT min(l.expires_at) FROM public.cost_tracking AS l WHERE l.expires_at <= p_now)
    INTO v_amount, v_posted, v_lapsed_first;
    -- A window in which nobody has asked yet, or that was pruned.
    v_amount := coalesce(
        v_amount + v_posted, budget._unopened(p_budget, p_dimension, p_member, p_starts_at, p_ends_at)
    );
    IF v_lapsed_first IS NOT NULL AND p_config.on_expiry = 'release' THEN
        v_amount := v_amount - budget._lapsed(p_dimension, p_member, p_starts_at, p_ends_at, p_now);
    END IF;
    RETURN v_amount;
END
$function$;

REVOKE ALL ON FUNCTION budget._balance(
    budget._config, text, text, text, timestamptz, timestamptz, timestamptz
) FROM PUBLIC;
COMMENT ON FUNCTION budget._balance(budget._config, text, text, text, timestamptz, timestamptz, timestamptz) IS
'What is spent and held of a member''s window at an instant.';
