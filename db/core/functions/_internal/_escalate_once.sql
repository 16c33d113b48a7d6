-- One escalation per kind, day and subject, without an index of its own: the id is derived from the three. Writers
-- meet in a try-lock, so that nobody ever waits for another's open transaction; whoever finds it taken leaves the
-- escalation to its holder, and should that one roll back, the next decision finds the same state and writes it.
CREATE OR REPLACE FUNCTION budget._escalate_once(
    p_kind text,
    p_day date,
    p_subject text,
    p_severity text,
    p_reason text,
    p_figures jsonb,
    p_work_order_id uuid
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- The order stands apart from the subject: a caller may name its service like one.
    v_id uuid := md5(concat_ws(
        '/', 'pgbudget', p_kind, to_char(p_day, 'YYYY-MM-DD'), coalesce(p_work_order_id::text, '-'), p_subject
    ))::uuid;
BEGIN
    IF NOT EXISTS (SELECT FROM public.escalations AS e WHERE e.id = v_id)
        AND pg_try_advisory_xact_lock(hashtextextended(v_id::text, 0))
    THEN
        PERFORM budget._write_escalation(
            v_id, p_kind, p_severity, 'budget', p_kind, p_reason,
            p_figures || jsonb_build_object('day', p_day, 'subject', p_subject), p_work_order_id, 'pending'
        );
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_once(text, date, text, text, text, jsonb, uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_once(text, date, text, text, text, jsonb, uuid) IS
'Writes an escalation unless one of this kind, day and subject is there.';
