CREATE OR REPLACE FUNCTION budget._price(p_proposer text, p_profile jsonb, p_key text)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_price numeric;
BEGIN
    IF jsonb_typeof(p_profile -> p_key) = 'number' THEN
        v_price := (p_profile ->> p_key)::numeric;
    END IF;
    IF v_price >= 0 THEN
        RETURN v_price;
    END IF;
    RAISE EXCEPTION 'the proposer % has no price', p_proposer
        USING ERRCODE = 'PB005',
        DETAIL = format('cost_profile.%s is %s.', p_key, coalesce((p_profile -> p_key)::text, 'missing')),
        HINT = 'Set it in public.proposer_configs, as a number per token.';
END
$function$;

REVOKE ALL ON FUNCTION budget._price(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._price(text, jsonb, text) IS
'One price of a proposer''s cost profile, per token. Errors: PB005 when it is missing or no amount.';
