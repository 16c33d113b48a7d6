-- AT TIME ZONE also takes POSIX strings such as UTC+3, which mean the opposite of what they seem to say; a zone is
-- therefore held to the shape of a name first: digits stand in few names, and in every POSIX string.
-- pg_timezone_names would be exact, but reads every zone file. Refused are abbreviations, too, that the setting
-- timezone_abbreviations can give another meaning: a caller would choose the day with it. And so are the names of zones
-- that AT TIME ZONE takes for an abbreviation instead, which has no summer time.
CREATE OR REPLACE FUNCTION budget._zone(p_zone jsonb)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    c_ambiguous CONSTANT text[] := ARRAY[
        'CST', 'EAST', 'EST', 'IST', 'SAST', 'SAT', 'WST', 'CET', 'EET', 'MET', 'WET'
    ];
    v_zone text := p_zone #>> '{}';
BEGIN
    IF jsonb_typeof(p_zone) = 'string'
        AND (
            v_zone ~ '^[A-Za-z_/-]+$'
            OR v_zone ~ '^((Etc/)?GMT[+-]?0|Etc/GMT[+]([1-9]|1[0-2])|Etc/GMT-([1-9]|1[0-4]))$'
            OR v_zone IN ('EST5EDT', 'CST6CDT', 'MST7MDT', 'PST8PDT')
        )
        AND upper(v_zone) <> ALL (c_ambiguous)
    THEN
        BEGIN
            PERFORM timestamp '2000-01-01 00:00:00' AT TIME ZONE v_zone;
            RETURN v_zone;
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL; -- reported below, in our own words
        END;
    END IF;
    RAISE EXCEPTION 'timezone must be the full name of a time zone, such as Europe/Berlin, not %', p_zone USING ERRCODE = 'PB005';
END
$function$;

REVOKE ALL ON FUNCTION budget._zone(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._zone(jsonb) IS 'A time zone that the server knows by name. Errors: PB005.';
