-- Each row's room goes down by what its amount goes up. Slot 0 takes what the own slot has no room for.
CREATE OR REPLACE FUNCTION budget._add_to_balance(p_match budget._match)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    FOR i IN 1 .. 2 LOOP
        UPDATE budget.balances AS b
        SET amount = b.amount + p_match.amount, room = b.room - p_match.amount
        WHERE
            b.budget = p_match.budget
            AND b.member = p_match.member
            AND b.starts_at = p_match.starts_at
            AND b.slot = p_match.slot
            AND (b.slot = 0 OR b.room >= p_match.amount);
        EXIT WHEN FOUND;
        IF p_match.slot > 0 THEN
            UPDATE budget.balances AS b
            SET amount = b.amount + p_match.amount, room = b.room - p_match.amount
            WHERE
                b.budget = p_match.budget
                AND b.member = p_match.member
                AND b.starts_at = p_match.starts_at
                AND b.slot = 0;
            EXIT WHEN FOUND;
        END IF;
        -- A balance that is opened here has the ledger's rows in it already, this statement's among them.
        EXIT WHEN budget._open_balance(p_match);
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._add_to_balance(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._add_to_balance(budget._match) IS
'Adds an amount to a balance, which is opened if it is not there.';
