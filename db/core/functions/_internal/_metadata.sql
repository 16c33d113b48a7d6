CREATE OR REPLACE FUNCTION budget._metadata(p_metadata jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_metadata IS NULL THEN
        RETURN '{}';
    END IF;
    IF jsonb_typeof(p_metadata) <> 'object' THEN
        RAISE EXCEPTION 'p_metadata must be a JSON object'
            USING ERRCODE = '22023',
            DETAIL = format('It is of type %s.', jsonb_typeof(p_metadata)),
            HINT = 'Wrap the value, for example {"value": …}.';
    END IF;
    IF octet_length(p_metadata::text) > 65536 THEN
        RAISE EXCEPTION 'p_metadata must not be larger than 64 KiB'
            USING ERRCODE = '22023',
            DETAIL = format('It has %s bytes.', octet_length(p_metadata::text)),
            HINT = 'Store the large value elsewhere and keep its key here.';
    END IF;
    RETURN p_metadata;
END
$function$;

REVOKE ALL ON FUNCTION budget._metadata(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._metadata(jsonb) IS 'Checked metadata; null stands for {}. Errors: 22023.';
