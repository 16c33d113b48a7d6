CREATE OR REPLACE FUNCTION budget._over_limit(p_policy budget._policy, p_total numeric)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE
        WHEN (p_policy).error IS NULL THEN coalesce(p_total > (p_policy).emergency_kill, false)
    END
$function$;

REVOKE ALL ON FUNCTION budget._over_limit(budget._policy, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._over_limit(budget._policy, numeric) IS
'Did spend that brought its day to this total (NULL: it was not summed) leave it above its limit? NULL where no limit is
known.';
