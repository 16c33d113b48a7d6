-- AT TIME ZONE also takes POSIX strings such as UTC+3, which mean the opposite of what they seem to say; a zone is
-- therefore held to the shape of a name first: digits stand in few names, and in every POSIX string.
-- pg_timezone_names would be exact, but reads every zone file. Refused are abbreviations, too, that the setting
-- timezone_abbreviations can give another meaning: a caller would choose the day with it. And so are the names of zones
-- that AT TIME ZONE takes for an abbreviation instead, which has no summer time.
-- Where the server knows no zone of the name, AT TIME ZONE says so.
CREATE OR REPLACE FUNCTION budget._zone(p_zone text)
RETURNS text
LANGUAGE sql
STABLE
AS $function$
    SELECT CASE
        WHEN (
            p_zone ~ '^[A-Za-z_/-]+$'
            OR p_zone ~ '^((Etc/)?GMT[+-]?0|Etc/GMT[+]([1-9]|1[0-2])|Etc/GMT-([1-9]|1[0-4]))$'
            OR p_zone IN ('EST5EDT', 'CST6CDT', 'MST7MDT', 'PST8PDT')
        )
        AND upper(p_zone) NOT IN ('CST', 'EAST', 'EST', 'IST', 'SAST', 'SAT', 'WST', 'CET', 'EET', 'MET', 'WET')
        AND timestamp '2000-01-01 00:00:00' AT TIME ZONE p_zone IS NOT NULL
            THEN p_zone
        ELSE budget._refuse_zone(p_zone)
    END
$function$;

REVOKE ALL ON FUNCTION budget._zone(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._zone(text) IS
'A time zone that the server knows by name. Errors: PB005, and 22023 where the server knows none of that name.';
