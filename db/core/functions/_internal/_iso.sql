-- JSON keeps instants as text; written in UTC so that no caller's TimeZone shows in a stored row. TimeZone is pinned:
-- see budget._window.
CREATE OR REPLACE FUNCTION budget._iso(p_at timestamptz)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
BEGIN
    RETURN to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
END
$function$;

REVOKE ALL ON FUNCTION budget._iso(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._iso(timestamptz) IS 'An instant as ISO 8601 text in UTC.';
