-- The row comes first and the sum after it: whoever else posts to this window waits at the row's key from then on, and
-- adds what it wrote itself.
CREATE OR REPLACE FUNCTION budget._open_balance(
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz
)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, amount)
    VALUES (p_budget, p_member, p_starts_at, p_ends_at, 0)
    ON CONFLICT (budget, member, starts_at) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE budget.balances AS b
    SET amount = budget._ledger_sum(p_dimension, p_member, p_starts_at, p_ends_at)
    WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at;
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._open_balance(text, text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._open_balance(text, text, text, timestamptz, timestamptz) IS
'Opens the balance of a member''s window, with all that the ledger has in it. False when another has opened it.';
