-- Around these instants, too, days and months can be counted, and every client has a value for their bounds.
CREATE OR REPLACE FUNCTION budget._has_day(p_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN p_at >= timestamptz '0002-01-01 00:00:00+00' AND p_at < timestamptz '9999-01-01 00:00:00+00';
END
$function$;

REVOKE ALL ON FUNCTION budget._has_day(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._has_day(timestamptz) IS
'Is the instant of the years 2 to 9998? What a direct writer dates otherwise, infinity among it, is on no day.';
