CREATE OR REPLACE FUNCTION budget._routing_refused(p_error text)
RETURNS jsonb
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT jsonb_build_object('success', false, 'error', p_error);
$function$;

REVOKE ALL ON FUNCTION budget._routing_refused(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._routing_refused(text) IS 'The answer to a work order that was not routed.';
