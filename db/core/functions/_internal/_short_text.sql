-- An index holds no key of any length, so that long values are told apart by their hash.
CREATE OR REPLACE FUNCTION budget._short_text(p_text text)
RETURNS text
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE WHEN char_length(p_text) > 200 THEN left(p_text, 168) || md5(p_text) ELSE p_text END
$function$;

REVOKE ALL ON FUNCTION budget._short_text(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._short_text(text) IS
'The text itself up to 200 characters; of a longer one its beginning and its hash.';
