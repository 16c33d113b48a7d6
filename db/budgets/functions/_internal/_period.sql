-- Minutes and hours are stretches of time, the same everywhere; days, weeks and months are the calendar's, in a zone.
CREATE OR REPLACE FUNCTION budget._period(
    p_period text,
    p_at timestamptz,
    p_zone text,
    OUT starts_at timestamptz,
    OUT ends_at timestamptz
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_day record;
    v_first date;
BEGIN
    IF NOT isfinite(p_at) THEN
        RETURN; -- a direct writer's 'infinity' is in no window
    END IF;
    IF p_period = 'total' THEN
        starts_at := '-infinity';
        ends_at := 'infinity';
    ELSIF NOT budget._has_day(p_at) THEN
        RETURN; -- nor is a row of the year 20000, but it is spent all the same
    ELSIF p_period IN ('minute', 'hour') THEN
        starts_at := date_trunc(p_period, p_at);
        ends_at := starts_at + ('1 ' || p_period)::interval;
    ELSE
        v_day := budget._window(p_at, p_zone);
        IF p_period = 'day' THEN
            starts_at := v_day.starts_at;
            ends_at := v_day.ends_at;
            RETURN;
        END IF;
        v_first := date_trunc(p_period, v_day.day::timestamp)::date;
        starts_at := budget._day_start(v_first, p_zone);
        ends_at := budget._day_start((v_first + ('1 ' || p_period)::interval)::date, p_zone);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._period(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._period(text, timestamptz, text) IS
'The window of a period that an instant belongs to: starts_at <= instant < ends_at. NULL where there is none.';
