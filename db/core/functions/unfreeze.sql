CREATE OR REPLACE FUNCTION budget.unfreeze()
RETURNS TABLE (frozen boolean, reason text, since timestamptz)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_write();
    v_value text;
BEGIN
    DELETE FROM public.system_config AS c WHERE c.key = 'budget_freeze' RETURNING c.value INTO v_value;
    IF FOUND THEN
        PERFORM budget._note_change('budget_unfrozen', 'The budget was unfrozen.', v_value, NULL);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN QUERY SELECT f.frozen, f.reason, f.since FROM budget._freeze_state() AS f;
END
$function$;

REVOKE ALL ON FUNCTION budget.unfreeze() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.unfreeze() TO budget_admin;
COMMENT ON FUNCTION budget.unfreeze() IS
'Ends a freeze; without one it changes nothing. One row: frozen is false.
Errors: 55P03 lock wait. Locks: one row of system_config.';
