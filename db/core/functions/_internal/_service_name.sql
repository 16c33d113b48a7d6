CREATE OR REPLACE FUNCTION budget._service_name(p_service_name text)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF char_length(p_service_name) BETWEEN 1 AND 200 THEN
        RETURN p_service_name;
    END IF;
    RAISE EXCEPTION 'p_service_name must have 1 to 200 characters'
        USING ERRCODE = '22023',
        DETAIL = CASE
            WHEN p_service_name IS NULL THEN 'The name is null.'
            ELSE format('The name has %s characters.', char_length(p_service_name))
        END,
        HINT = 'Name the service that spends the money, for example ''manager-routing''.';
END
$function$;

REVOKE ALL ON FUNCTION budget._service_name(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._service_name(text) IS 'A checked service name. Errors: 22023.';
