-- As JSON, in which each part stands by itself: callers choose some of them, and may put any sign between. What is told
-- of a window, and of a budget in it, is a range of the primary key.
CREATE OR REPLACE FUNCTION budget._escalation_id(
    p_kind text,
    p_window text,
    p_budget text,
    p_subject text[],
    p_work_order_id uuid
)
RETURNS uuid
LANGUAGE sql
STABLE
AS $function$
    SELECT (
        left(md5(jsonb_build_array('pgbudget', p_kind, p_window)::text), 8)
        || left(md5(p_budget), 8)
        || left(md5(jsonb_build_array(p_work_order_id, p_subject)::text), 16)
    )::uuid
$function$;

REVOKE ALL ON FUNCTION budget._escalation_id(text, text, text, text[], uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalation_id(text, text, text, text[], uuid) IS
'The id of the one escalation of a kind, window, budget and subject: 8 hexadecimal digits of kind and window, 8 of the
budget, 16 of the rest.';
