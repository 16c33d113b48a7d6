CREATE OR REPLACE FUNCTION budget._metadata(p_metadata jsonb, p_argument text DEFAULT 'p_metadata')
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_metadata IS NULL THEN
        RETURN '{}'::jsonb;
    END IF;
    IF jsonb_typeof(p_metadata) <> 'object' THEN
        RAISE EXCEPTION '% must be a JSON object', p_argument
            USING ERRCODE = '22023',
            DETAIL = format('It is of type %s.', jsonb_typeof(p_metadata)),
            HINT = 'Wrap the value, for example {"value": ...}.';
    END IF;
    IF octet_length(p_metadata::text) > 65536 THEN
        RAISE EXCEPTION '% must not be larger than 64 KiB', p_argument
            USING ERRCODE = '22023',
            DETAIL = format('It has %s bytes.', octet_length(p_metadata::text)),
            HINT = 'Store the large value elsewhere and keep its key here.';
    END IF;
    RETURN p_metadata;
END
$function$;

REVOKE ALL ON FUNCTION budget._metadata(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._metadata(jsonb, text) IS 'Checked metadata; null stands for {}. Errors: 22023.';
