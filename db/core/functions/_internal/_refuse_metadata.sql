CREATE OR REPLACE FUNCTION budget._refuse_metadata(p_metadata jsonb, p_argument text)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF jsonb_typeof(p_metadata) <> 'object' THEN
        RAISE EXCEPTION '% must be a JSON object', p_argument
            USING ERRCODE = '22023',
            DETAIL = format('It is of type %s.', jsonb_typeof(p_metadata)),
            HINT = 'Wrap the value, for example {"value": ...}.';
    END IF;
    RAISE EXCEPTION '% must not be larger than 64 KiB', p_argument
        USING ERRCODE = '22023',
        DETAIL = format('It has %s bytes.', octet_length(p_metadata::text)),
        HINT = 'Store the large value elsewhere and keep its key here.';
END
$function$;

REVOKE ALL ON FUNCTION budget._refuse_metadata(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._refuse_metadata(jsonb, text) IS 'Raises 22023, saying what is wrong with the metadata.';
