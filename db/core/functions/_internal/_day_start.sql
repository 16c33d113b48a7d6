-- A day begins at the earliest instant whose local date is that day. Where a zone repeats its midnight, AT TIME ZONE
-- answers with the second of the two; the first is found with the offset that was in force the day before.
-- The arithmetic is done in UTC: adding days to a timestamptz would follow the caller's TimeZone,
-- which is pinned for the sake of AT TIME ZONE: see budget._window.
CREATE OR REPLACE FUNCTION budget._day_start(p_day date, p_zone text)
RETURNS timestamptz
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_midnight timestamp := p_day::timestamp;
    v_last timestamptz := v_midnight AT TIME ZONE p_zone;
    v_eve timestamp := (v_last AT TIME ZONE 'UTC') - interval '24 hours';
    v_eve_offset interval := ((v_eve AT TIME ZONE 'UTC') AT TIME ZONE p_zone) - v_eve;
    v_first timestamptz := (v_midnight - v_eve_offset) AT TIME ZONE 'UTC';
BEGIN
    IF v_first < v_last AND v_first AT TIME ZONE p_zone = v_midnight THEN
        RETURN v_first;
    END IF;
    RETURN v_last;
END
$function$;

REVOKE ALL ON FUNCTION budget._day_start(date, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._day_start(date, text) IS 'The earliest instant whose date in the zone is this day.';
