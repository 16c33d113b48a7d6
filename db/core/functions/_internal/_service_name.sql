CREATE OR REPLACE FUNCTION budget._service_name(p_service_name text)
RETURNS text
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE
        WHEN char_length(p_service_name) BETWEEN 1 AND 200 THEN p_service_name
        ELSE budget._refuse_service_name(p_service_name)
    END
$function$;

REVOKE ALL ON FUNCTION budget._service_name(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._service_name(text) IS 'A checked service name. Errors: 22023.';
