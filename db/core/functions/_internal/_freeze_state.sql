-- The row may have been written by hand: whatever it holds, it freezes, and what can be read of it is shown.
CREATE OR REPLACE FUNCTION budget._freeze_state(OUT frozen boolean, OUT reason text, OUT since timestamptz)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    SELECT c.value INTO reason FROM public.system_config AS c WHERE c.key = 'budget_freeze';
    frozen := FOUND;
    IF frozen THEN
        since := (reason::jsonb ->> 'since')::timestamptz;
        reason := coalesce(reason::jsonb ->> 'reason', reason);
    END IF;
EXCEPTION WHEN data_exception THEN
    RETURN; -- not ours: shown as it is
END
$function$;

REVOKE ALL ON FUNCTION budget._freeze_state() FROM PUBLIC;
COMMENT ON FUNCTION budget._freeze_state() IS 'The kill switch: is it on, why, and since when?';
