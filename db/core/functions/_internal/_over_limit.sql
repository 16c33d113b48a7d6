CREATE OR REPLACE FUNCTION budget._over_limit(p_config budget._config, p_total numeric)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_config.error IS NOT NULL THEN
        RETURN NULL; -- no limit is known
    END IF;
    RETURN coalesce(p_total > p_config.emergency_kill, false);
END
$function$;

REVOKE ALL ON FUNCTION budget._over_limit(budget._config, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._over_limit(budget._config, numeric) IS
'Did spend that brought its window to this total (NULL: it was not summed) leave it above its limit?';
