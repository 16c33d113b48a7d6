-- Money is stored with at most 12 decimals, rounded up: a float's tail is harmless, and nothing positive becomes free.
CREATE OR REPLACE FUNCTION budget._money(p_amount numeric, p_argument text)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric := p_amount;
BEGIN
    IF p_amount IS NULL THEN
        RAISE EXCEPTION '% must not be null', p_argument
            USING ERRCODE = '22023', DETAIL = 'The amount is null.', HINT = 'Give an amount of 0 or more.';
    END IF;
    -- NaN sorts above every number, so the upper bound catches it and both infinities fall outside too.
    IF p_amount >= 0 AND p_amount < 1e15 THEN
        IF scale(p_amount) > 12 THEN
            v_amount := trim_scale(ceil(p_amount * 1e12) * 1e-12);
        END IF;
        IF v_amount < 1e15 THEN
            RETURN v_amount;
        END IF;
    END IF;
    RAISE EXCEPTION '% is out of range', p_argument
        USING ERRCODE = '22003',
        DETAIL = format('The amount is %s.', p_amount),
        HINT = 'An amount is at least 0 and below 1e15, in the currency of the limits.';
END
$function$;

REVOKE ALL ON FUNCTION budget._money(numeric, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._money(numeric, text) IS
'An amount as it is stored: checked, and rounded up to 12 decimals. Errors: 22023 null, 22003 out of range.';
