CREATE OR REPLACE FUNCTION budget._note_change(p_kind text, p_reason text, p_old text, p_new text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM budget._write_escalation(
        gen_random_uuid(), p_kind, 'info', 'budget', p_kind, p_reason,
        jsonb_build_object('old', p_old, 'new', p_new, 'changed_by', session_user),
        NULL, 'resolved'
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._note_change(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._note_change(text, text, text, text) IS
'Keeps who changed a setting, from what to what, as an escalation of severity info that is resolved already.';
