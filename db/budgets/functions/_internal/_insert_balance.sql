CREATE OR REPLACE FUNCTION budget._insert_balance(
    p_budget text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_slots integer,
    p_amount numeric
)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    VALUES (p_budget, p_member, p_starts_at, p_ends_at, 0, p_amount, -p_amount)
    ON CONFLICT (budget, member, starts_at, slot) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot)
    SELECT p_budget, p_member, p_starts_at, p_ends_at, s.slot
    FROM generate_series(1, p_slots) AS s (slot)
    WHERE p_slots > 1;
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_balance(text, text, timestamptz, timestamptz, integer, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_balance(text, text, timestamptz, timestamptz, integer, numeric) IS
'Inserts the rows of a balance: all of it in slot 0, and no room in any slot yet. False when it is there.';
