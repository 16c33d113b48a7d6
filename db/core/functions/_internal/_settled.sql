CREATE OR REPLACE FUNCTION budget._settled(p_row public.cost_tracking, p_actual numeric)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_row.metadata ->> 'type' <> 'actual' THEN
        RETURN false;
    END IF;
    IF p_row.cost <> p_actual THEN
        PERFORM budget._forbid(p_row, 'settled', 'cost ' || p_actual);
    END IF;
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._settled(public.cost_tracking, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._settled(public.cost_tracking, numeric) IS
'Is the reservation settled at this amount already? Errors: PB004 when it is settled at another.';
