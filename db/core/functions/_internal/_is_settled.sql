CREATE OR REPLACE FUNCTION budget._is_settled(p_row public.cost_tracking, p_actual numeric)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE
        WHEN (p_row).metadata ->> 'type' <> 'actual' THEN false
        WHEN (p_row).cost = p_actual THEN true
        ELSE budget._forbid(p_row, 'settled', 'cost ' || p_actual::text)
    END
$function$;

REVOKE ALL ON FUNCTION budget._is_settled(public.cost_tracking, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._is_settled(public.cost_tracking, numeric) IS
'Is the hold settled at this cost already? Errors: PB004 when it is settled at another.';
