-- Slot 0 comes first and the sum after it: whoever else posts to this window waits at the row's key from then on, and
-- adds what it wrote itself.
CREATE OR REPLACE FUNCTION budget._open_balance(p_match budget._match)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric;
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot)
    VALUES (p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, 0)
    ON CONFLICT (budget, member, starts_at, slot) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    v_amount := budget._ledger_sum(p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at);
    UPDATE budget.balances AS b
    SET amount = v_amount, room = -v_amount
    WHERE b.budget = p_match.budget AND b.member = p_match.member AND b.starts_at = p_match.starts_at AND b.slot = 0;
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot)
    SELECT p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, s.slot
    FROM generate_series(1, p_match.slots) AS s (slot)
    WHERE p_match.slots > 1;
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._open_balance(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._open_balance(budget._match) IS
'Opens the balance of a member''s window, with all that the ledger has in it. False when another has opened it.';
