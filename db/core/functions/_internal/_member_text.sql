-- A member is its text: the JSON numbers 7 and 7.0 and the string "7" are one, the string "7.0" is another.
CREATE OR REPLACE FUNCTION budget._member_text(p_value jsonb)
RETURNS text
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE jsonb_typeof(p_value)
        WHEN 'number' THEN budget._short_text(trim_scale(p_value::numeric)::text)
        ELSE budget._short_text(p_value #>> '{}')
    END
$function$;

REVOKE ALL ON FUNCTION budget._member_text(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._member_text(jsonb) IS 'The name of the member that a value in the metadata means.';
