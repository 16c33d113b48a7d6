-- Counted in seconds, because an interval of '1 day' is 25 hours long on some days.
CREATE OR REPLACE FUNCTION budget._ttl(p_ttl interval)
RETURNS interval
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_seconds numeric := extract(EPOCH FROM p_ttl);
BEGIN
    IF v_seconds > 0 AND v_seconds <= 86400 THEN
        RETURN make_interval(secs => v_seconds::double precision);
    END IF;
    RAISE EXCEPTION 'a time to live must be more than 0 and at most 24 hours'
        USING ERRCODE = '22023',
        DETAIL = format('It is %s.', coalesce(p_ttl::text, 'null')),
        HINT = 'For a longer call, extend the hold while it runs.';
END
$function$;

REVOKE ALL ON FUNCTION budget._ttl(interval) FROM PUBLIC;
COMMENT ON FUNCTION budget._ttl(interval) IS 'A checked time to live, as exact seconds. Errors: 22023.';
