CREATE OR REPLACE FUNCTION budget.escalate(
    p_component text,
    p_operation text,
    p_error text,
    p_work_order_id uuid DEFAULT NULL,
    p_severity text DEFAULT 'critical',
    p_metadata jsonb DEFAULT '{}'
)
RETURNS uuid
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_id uuid := gen_random_uuid();
    v_metadata jsonb := budget._metadata(p_metadata);
    v_lock_timeout text;
BEGIN
    IF '' IN (coalesce(p_component, ''), coalesce(p_operation, ''), coalesce(p_error, ''), coalesce(p_severity, '')) THEN
        RAISE EXCEPTION 'an escalation names its component, operation, error and severity'
            USING ERRCODE = '22023',
            DETAIL = format('Given: %L, %L, %L, %L.', p_component, p_operation, p_error, p_severity),
            HINT = 'A human will read it: leave none of them empty.';
    END IF;
    PERFORM budget._metadata(jsonb_build_object('text', p_component || p_operation || p_error || p_severity), 'the text');
    v_lock_timeout := budget._begin_write();
    PERFORM budget._write_escalation(
        v_id, 'error', p_severity, p_component, p_operation,
        format('%s, %s: %s', p_component, p_operation, p_error), v_metadata, p_work_order_id, 'pending'
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_id;
END
$function$;

REVOKE ALL ON FUNCTION budget.escalate(text, text, text, uuid, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.escalate(text, text, text, uuid, text, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.escalate(text, text, text, uuid, text, jsonb) IS
'Asks a human to look: one row in public.escalations, status pending. Returns its id.

p_component, p_operation  where it happened
p_error                   what happened; it stands in reason, after component and operation; at most 64 KiB of text in all
p_work_order_id           the work order, if one is concerned; an id that is not in the table is kept in context alone
p_severity                critical, high, warning or info
p_metadata                a JSON object, at most 64 KiB, merged into context

Errors: 22023 bad argument. Locks: the work order''s key, as every foreign key does.';
