-- AT TIME ZONE also takes POSIX strings such as UTC+3, which mean the opposite of what they seem to say; a zone is
-- therefore held to the shape of a name first: digits stand in few names, and in every POSIX string.
-- pg_timezone_names would be exact, but reads every zone file. Refused are abbreviations, too, that the setting
-- timezone_abbreviations can give another meaning: a caller would choose the day with it. And so are the names of zones
-- that AT TIME ZONE takes for an abbreviation instead, which has no summer time.
CREATE OR REPLACE FUNCTION budget._zone(p_zone text)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
BEGIN
    -- Where the server knows no zone of the name, AT TIME ZONE says so.
    IF (
        p_zone ~ '^[A-Za-z_/-]+$'
        OR p_zone ~ '^((Etc/)?GMT[+-]?0|Etc/GMT[+]([1-9]|1[0-2])|Etc/GMT-([1-9]|1[0-4]))$'
        OR p_zone IN ('EST5EDT', 'CST6CDT', 'MST7MDT', 'PST8PDT')
    )
        AND upper(p_zone) NOT IN ('CST', 'EAST', 'EST', 'IST', 'SAST', 'SAT', 'WST', 'CET', 'EET', 'MET', 'WET')
        AND timestamp '2000-01-01 00:00:00' AT TIME ZONE p_zone IS NOT NULL
    THEN
        RETURN p_zone;
    END IF;
    RAISE EXCEPTION
        'timezone must be the full name of a time zone, such as Europe/Berlin, not %', coalesce(p_zone, 'null')
        USING ERRCODE = 'PB005';
END
$function$;

REVOKE ALL ON FUNCTION budget._zone(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._zone(text) IS
'A time zone that the server knows by name. Errors: PB005, and 22023 where the server knows none of that name.';
