CREATE OR REPLACE FUNCTION budget._requested(p_metadata jsonb)
RETURNS jsonb
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT coalesce(p_metadata -> 'original_metadata', p_metadata)
$function$;

REVOKE ALL ON FUNCTION budget._requested(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._requested(jsonb) IS
'The metadata that was given to reserve or record; of a row that another writer made, its whole metadata.';
