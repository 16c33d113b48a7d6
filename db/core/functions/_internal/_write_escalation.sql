CREATE OR REPLACE FUNCTION budget._write_escalation(
    p_id uuid,
    p_kind text,
    p_severity text,
    p_component text,
    p_operation text,
    p_reason text,
    p_context jsonb,
    p_work_order_id uuid,
    p_status text
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_now timestamptz := budget._now();
BEGIN
    INSERT INTO public.escalations (
        id, work_order_id, trigger_type, reason, context, status, resolved_at, created_at, updated_at
    )
    VALUES (
        p_id,
        -- A work order that is not in the table has its id in the context alone: the key would refuse it.
        (SELECT w.id FROM public.work_orders AS w WHERE w.id = p_work_order_id),
        p_kind,
        p_reason,
        p_context || jsonb_build_object(
            'severity', p_severity,
            'component', p_component,
            'operation', p_operation,
            'error', p_reason,
            'work_order_id', p_work_order_id
        ),
        p_status,
        CASE WHEN p_status = 'resolved' THEN v_now END,
        v_now,
        v_now
    )
    ON CONFLICT (id) DO NOTHING;
END
$function$;

REVOKE ALL ON FUNCTION budget._write_escalation(uuid, text, text, text, text, text, jsonb, uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._write_escalation(uuid, text, text, text, text, text, jsonb, uuid, text) IS
'Writes one row into public.escalations; an id that is there already is left as it is.';
