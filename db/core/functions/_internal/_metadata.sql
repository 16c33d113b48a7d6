CREATE OR REPLACE FUNCTION budget._metadata(p_metadata jsonb, p_argument text DEFAULT 'p_metadata')
RETURNS jsonb
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE
        WHEN p_metadata IS NULL THEN '{}'
        WHEN jsonb_typeof(p_metadata) = 'object' AND octet_length(p_metadata::text) <= 65536 THEN p_metadata
        ELSE budget._refuse_metadata(p_metadata, p_argument)
    END
$function$;

REVOKE ALL ON FUNCTION budget._metadata(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._metadata(jsonb, text) IS 'Checked metadata; null stands for {}. Errors: 22023.';
