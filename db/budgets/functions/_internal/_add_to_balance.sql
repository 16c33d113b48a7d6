CREATE OR REPLACE FUNCTION budget._add_to_balance(
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_amount numeric
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    FOR i IN 1 .. 2 LOOP
        UPDATE budget.balances AS b
        SET amount = b.amount + p_amount
        WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at;
        -- A balance that is opened here has the ledger's rows in it already, this statement's among them.
        EXIT WHEN FOUND OR budget._open_balance(p_budget, p_dimension, p_member, p_starts_at, p_ends_at);
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._add_to_balance(text, text, text, timestamptz, timestamptz, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._add_to_balance(text, text, text, timestamptz, timestamptz, numeric) IS
'Adds an amount to a balance, which is opened if it is not there.';
