CREATE OR REPLACE FUNCTION budget.freeze(p_reason text)
RETURNS TABLE (frozen boolean, reason text, since timestamptz)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text;
    v_value jsonb;
BEGIN
    IF coalesce(p_reason, '') = '' THEN
        RAISE EXCEPTION 'a freeze needs a reason'
            USING ERRCODE = '22023', DETAIL = 'p_reason is null or empty.', HINT = 'Whoever is refused will read it.';
    END IF;
    v_lock_timeout := budget._begin_write();
    v_value := budget._metadata(
        jsonb_build_object('reason', p_reason, 'by', session_user, 'since', budget._iso(budget._now())), 'p_reason'
    );
    INSERT INTO public.system_config (key, value, description)
    VALUES ('budget_freeze', v_value::text, 'While this row is here nothing can be reserved; see budget.unfreeze')
    ON CONFLICT (key) DO NOTHING; -- frozen already: the first reason stands
    IF FOUND THEN
        PERFORM budget._note_change('budget_frozen', 'The budget was frozen: ' || p_reason, NULL, v_value::text);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN QUERY SELECT f.frozen, f.reason, f.since FROM budget._freeze_state() AS f;
END
$function$;

REVOKE ALL ON FUNCTION budget.freeze(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.freeze(text) TO budget_admin;
COMMENT ON FUNCTION budget.freeze(text) IS
'The kill switch: every reserve and extend that decides after this commit is refused, also for exempt services. Settle,
cancel and record go on. One row: the freeze in force.

p_reason  why, at most 64 KiB; it is kept with the session''s user and the time. While frozen, another freeze changes nothing.

Errors: 22023 no reason; 55P03 lock wait. Locks: one row of system_config; it waits for no reservation.';
