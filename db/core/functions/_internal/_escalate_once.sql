-- One escalation per kind, window and subject, without an index of its own: the id is derived from the three. Writers
-- meet in a try-lock, so that nobody ever waits for another's open transaction; whoever finds it taken leaves the
-- escalation to its holder, and should that one roll back, the next decision finds the same state and writes it.
CREATE OR REPLACE FUNCTION budget._escalate_once(
    p_kind text,
    p_window text,
    p_subject text[],
    p_severity text,
    p_reason text,
    p_figures jsonb,
    p_work_order_id uuid
)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- As JSON, in which each part stands by itself: callers choose some of them, and may put any sign between.
    v_id uuid := md5(jsonb_build_array('pgbudget', p_kind, p_window, p_work_order_id, p_subject)::text)::uuid;
BEGIN
    IF EXISTS (SELECT FROM public.escalations AS e WHERE e.id = v_id)
        OR NOT pg_try_advisory_xact_lock(hashtextextended(v_id::text, 0))
    THEN
        RETURN false;
    END IF;
    PERFORM budget._write_escalation(
        v_id, p_kind, p_severity, 'budget', p_kind, p_reason,
        jsonb_build_object('day', p_window, 'subject', p_subject[1]) || p_figures, p_work_order_id, 'pending'
    );
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_once(text, text, text[], text, text, jsonb, uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_once(text, text, text[], text, text, jsonb, uuid) IS
'Writes an escalation unless one of this kind, window and subject is there; false then. The window is a day, unless the
figures have a day of their own. Of the subject, its first part is shown.';
