-- Counted in seconds, because an interval of '1 day' is 25 hours long on some days.
CREATE OR REPLACE FUNCTION budget._ttl(p_ttl interval)
RETURNS interval
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE
        WHEN extract(EPOCH FROM p_ttl) > 0 AND extract(EPOCH FROM p_ttl) <= 86400
            THEN make_interval(secs => extract(EPOCH FROM p_ttl)::double precision)
        ELSE budget._refuse_ttl(p_ttl)
    END
$function$;

REVOKE ALL ON FUNCTION budget._ttl(interval) FROM PUBLIC;
COMMENT ON FUNCTION budget._ttl(interval) IS 'A checked time to live, as exact seconds. Errors: 22023.';
