-- One escalation per kind, window and subject, without an index of its own: the id is derived from these, so that what
-- is told of a window, and of a budget in it, is a range of the primary key. Writers meet in a try-lock, so that nobody
-- ever waits for another's open transaction; whoever finds it taken leaves the escalation to its holder, and should
-- that one roll back, the next decision finds the same state and writes it. Nor does anybody count what others have not
-- committed: there may be more than are listed, by what is told in transactions that are open at once.
CREATE OR REPLACE FUNCTION budget._escalate_once(
    p_kind text,
    p_window text,
    p_budget text,
    p_subject text[],
    p_severity text,
    p_reason text,
    p_figures jsonb,
    p_work_order_id uuid,
    p_unlisted text
)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $function$
DECLARE
    c_listed CONSTANT integer := 1000;
    -- As JSON, in which each part stands by itself: callers choose some of them, and may put any sign between.
    v_of_window text := left(md5(jsonb_build_array('pgbudget', p_kind, p_window)::text), 8);
    v_of_budget text := v_of_window || left(md5(p_budget), 8);
    v_id uuid := (v_of_budget || left(md5(jsonb_build_array(p_work_order_id, p_subject)::text), 16))::uuid;
BEGIN
    IF EXISTS (SELECT FROM public.escalations AS e WHERE e.id = v_id) THEN
        RETURN false;
    END IF;
    IF p_unlisted IS NOT NULL
        -- In the order of the key, for which the plan is pinned to it: is the first row from there on, or the last of
        -- those that are listed, still one of these?
        AND (
            SELECT e.id
            FROM public.escalations AS e
            WHERE e.id >= rpad(v_of_budget, 32, '0')::uuid
            ORDER BY e.id
            LIMIT 1
        ) <= rpad(v_of_budget, 32, 'f')::uuid
        AND (
            SELECT e.id
            FROM public.escalations AS e
            WHERE e.id >= rpad(v_of_window, 32, '0')::uuid
            ORDER BY e.id
            LIMIT 1 OFFSET c_listed - 1
        ) <= rpad(v_of_window, 32, 'f')::uuid
    THEN
        RETURN budget._escalate_once(
            p_kind, p_window, '', '{*}', p_severity, format(p_unlisted, c_listed), '{}', NULL, NULL
        );
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended(v_id::text, 0)) THEN
        RETURN false;
    END IF;
    PERFORM budget._write_escalation(
        v_id, p_kind, p_severity, 'budget', p_kind, p_reason,
        jsonb_build_object('day', p_window, 'subject', p_subject[1]) || p_figures, p_work_order_id, 'pending'
    );
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_once(text, text, text, text[], text, text, jsonb, uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_once(text, text, text, text[], text, text, jsonb, uuid, text) IS
'Writes an escalation unless one of this kind, window, budget and subject is there; false then. The window is a day,
unless the figures have a day of their own. Of the subject, its first part is shown. With p_unlisted, 1000 are listed of
a kind and window, and the first of each budget in any case; the next one is that text, in which %s is that number.';
