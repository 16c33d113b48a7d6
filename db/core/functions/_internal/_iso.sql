-- JSON keeps instants as text, in UTC, so that no caller's TimeZone shows in a stored row. Adding what has passed since
-- 1970 to a timestamp asks no time zone, and so TimeZone need not be pinned as it is in budget._window.
CREATE OR REPLACE FUNCTION budget._iso(p_at timestamptz)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN CASE
        WHEN isfinite(p_at)
            THEN to_char(
                timestamp '1970-01-01 00:00:00' + (p_at - timestamptz '1970-01-01 00:00:00+00'),
                'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            )
    END;
END
$function$;

REVOKE ALL ON FUNCTION budget._iso(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._iso(timestamptz) IS 'An instant as ISO 8601 text in UTC.';
