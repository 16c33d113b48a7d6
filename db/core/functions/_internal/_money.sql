CREATE OR REPLACE FUNCTION budget._money(p_amount numeric, p_argument text)
RETURNS numeric
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE
        WHEN p_amount >= 0 AND p_amount < 1e15 AND scale(p_amount) <= 12 THEN p_amount
        ELSE budget._rounded_money(p_amount, p_argument)
    END
$function$;

REVOKE ALL ON FUNCTION budget._money(numeric, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._money(numeric, text) IS
'An amount as it is stored: checked, and rounded up to 12 decimals. Errors: 22023 null, 22003 out of range.';
