CREATE OR REPLACE FUNCTION budget._cap(p_limits jsonb, p_key text)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_cap numeric;
BEGIN
    IF NOT p_limits ? p_key THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(p_limits -> p_key) = 'number' THEN
        v_cap := (p_limits ->> p_key)::numeric;
        IF v_cap >= 0 AND v_cap < 1e15 THEN
            RETURN v_cap;
        END IF;
    END IF;
    RAISE EXCEPTION '% must be a number of at least 0 and below 1e15, not %', p_key, p_limits -> p_key
        USING ERRCODE = 'PB005';
END
$function$;

REVOKE ALL ON FUNCTION budget._cap(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._cap(jsonb, text) IS
'One amount of the limits; NULL when its key is absent. Errors: PB005 when it is no amount.';
