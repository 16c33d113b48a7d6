CREATE OR REPLACE FUNCTION budget._member(p_dimension text, p_service_name text, p_request jsonb)
RETURNS text
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE p_dimension
        WHEN '*' THEN '*'
        WHEN 'service' THEN p_service_name
        ELSE budget._member_text(p_request -> p_dimension)
    END
$function$;

REVOKE ALL ON FUNCTION budget._member(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._member(text, text, jsonb) IS
'Whose spend it is in a dimension: everybody''s (*), its service''s (service), or that of the value of a top-level key
of the request''s metadata, as text; NULL when it has no such key.';
