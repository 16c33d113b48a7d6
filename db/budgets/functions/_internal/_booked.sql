CREATE OR REPLACE FUNCTION budget._booked(
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz
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
BEGIN
    -- A window in which nobody has asked yet, or that was pruned.
    IF v_amount IS NULL THEN
        RETURN budget._unopened(p_budget, p_dimension, p_member, p_starts_at, p_ends_at);
    END IF;
    RETURN v_amount + budget._posted(p_budget, p_member, p_starts_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz) IS
'What the ledger rows of a member in a window come to, holds that have lapsed and are not marked yet among them.';
