-- A member is its text: the JSON numbers 7 and 7.0 and the string "7" are one, the string "7.0" is another.
-- An index holds no key of any length, so that long values are told apart by their hash.
CREATE OR REPLACE FUNCTION budget._member(p_dimension text, p_service_name text, p_request jsonb)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_member text := CASE p_dimension
        WHEN '*' THEN '*'
        WHEN 'service' THEN p_service_name
        ELSE CASE jsonb_typeof(p_request -> p_dimension)
            WHEN 'number' THEN trim_scale((p_request -> p_dimension)::numeric)::text
            ELSE p_request ->> p_dimension
        END
    END;
BEGIN
    RETURN CASE WHEN char_length(v_member) > 200 THEN left(v_member, 168) || md5(v_member) ELSE v_member END;
END
$function$;

REVOKE ALL ON FUNCTION budget._member(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._member(text, text, jsonb) IS
'Whose spend it is in a dimension: everybody''s (*), its service''s (service), or that of the value of a top-level key
of the request''s metadata, as text; NULL when it has no such key.';
