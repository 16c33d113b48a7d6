-- TimeZone is pinned here and wherever else AT TIME ZONE is used: from PostgreSQL 18 on the session's own zone is asked
-- first what an abbreviation means, and under TimeZone 'UTC-14' even 'UTC' means another day.
CREATE OR REPLACE FUNCTION budget._window(
    p_at timestamptz,
    p_zone text,
    OUT day date,
    OUT starts_at timestamptz,
    OUT ends_at timestamptz
)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_midnight timestamp;
BEGIN
    IF budget._has_day(p_at) IS NOT TRUE THEN
        RETURN; -- a direct writer's 'infinity' is on no day
    END IF;
    v_midnight := date_trunc('day', p_at AT TIME ZONE p_zone);
    day := v_midnight::date;
    starts_at := v_midnight AT TIME ZONE p_zone;
    ends_at := (v_midnight + interval '1 day') AT TIME ZONE p_zone;
    -- Most days: no clock was changed between the midnight before this day and the one after it.
    IF ends_at - starts_at = interval '24 hours'
        AND (starts_at - interval '24 hours') AT TIME ZONE p_zone = v_midnight - interval '1 day'
    THEN
        RETURN;
    END IF;
    starts_at := budget._day_start(day, p_zone);
    ends_at := budget._day_start(day + 1, p_zone);
    -- Where clocks go back across midnight, the old date shows again after the new day has begun.
    IF p_at >= ends_at THEN
        day := day + 1;
        starts_at := ends_at;
        ends_at := budget._day_start(day + 1, p_zone);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._window(timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._window(timestamptz, text) TO budget_reader;
COMMENT ON FUNCTION budget._window(timestamptz, text) IS
'The day that an instant belongs to, and its bounds: starts_at <= instant < ends_at. NULL where it is on no day.';
