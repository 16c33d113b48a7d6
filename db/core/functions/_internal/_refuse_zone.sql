CREATE OR REPLACE FUNCTION budget._refuse_zone(p_zone text)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION
        'timezone must be the full name of a time zone, such as Europe/Berlin, not %', coalesce(p_zone, 'null')
        USING ERRCODE = 'PB005';
END
$function$;

REVOKE ALL ON FUNCTION budget._refuse_zone(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._refuse_zone(text) IS 'Raises PB005: the text is not the full name of a time zone.';
