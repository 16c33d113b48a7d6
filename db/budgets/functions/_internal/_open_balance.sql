-- In one statement, and so in one snapshot: a ledger row and its posting are committed together, seen together, and
-- counted once.
CREATE OR REPLACE FUNCTION budget._open_balance(p_match budget._match)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    SELECT p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, 0, t.amount, -t.amount
    FROM (
        SELECT
            budget._unopened(p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at)
            - budget._posted(p_match.budget, p_match.member, p_match.starts_at) AS amount
    ) AS t
    ON CONFLICT (budget, member, starts_at, slot) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
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
