CREATE OR REPLACE FUNCTION budget._has_kept_key(p_metadata jsonb)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT p_metadata ?| ARRAY[
        'reserved_at', 'estimated_cost', 'requested_cost', 'original_metadata',
        'extended_at', 'expired_at', 'cancelled_at', 'settled_at', 'late'
    ]
$function$;

REVOKE ALL ON FUNCTION budget._has_kept_key(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._has_kept_key(jsonb) IS
'Does metadata have a key that is kept of a hold, whatever its writer makes of it?';
