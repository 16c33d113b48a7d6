-- A hold that has lapsed counts nowhere, marked or not; those that are not are few, and found by their expiry.
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
    v_amount numeric := sum(b.amount)
        FROM budget.balances AS b
        WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at;
    v_lapsed numeric;
BEGIN
    -- A window in which nobody has asked yet, or that was pruned.
    IF v_amount IS NULL THEN
        v_amount := budget._unopened(p_budget, p_dimension, p_member, p_starts_at, p_ends_at);
    ELSE
        v_amount := v_amount + budget._posted(p_budget, p_member, p_starts_at);
    END IF;
    IF p_config.on_expiry = 'release' THEN
        -- By their expiry alone: the rows of the window are many.
        WITH lapsed AS MATERIALIZED (
            SELECT l.service_name, l.metadata, l.created_at, l.cost FROM public.cost_tracking AS l WHERE l.expires_at <= p_now
        )

        SELECT sum(l.cost)
        INTO v_lapsed
        FROM lapsed AS l
        WHERE
            l.created_at >= p_starts_at
            AND l.created_at < p_ends_at
            AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member;
    END IF;
    RETURN v_amount - coalesce(v_lapsed, 0);
END
$function$;

REVOKE ALL ON FUNCTION budget._balance(
    budget._config, text, text, text, timestamptz, timestamptz, timestamptz
) FROM PUBLIC;
COMMENT ON FUNCTION budget._balance(budget._config, text, text, text, timestamptz, timestamptz, timestamptz) IS
'What is spent and held of a member''s window at an instant.';
