CREATE OR REPLACE FUNCTION budget._refuse_ttl(p_ttl interval)
RETURNS interval
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'a time to live must be more than 0 and at most 24 hours'
        USING ERRCODE = '22023',
        DETAIL = format('It is %s.', coalesce(p_ttl::text, 'null')),
        HINT = 'For a longer call, extend the hold while it runs.';
END
$function$;

REVOKE ALL ON FUNCTION budget._refuse_ttl(interval) FROM PUBLIC;
COMMENT ON FUNCTION budget._refuse_ttl(interval) IS 'Raises 22023, saying what is wrong with the time to live.';
