CREATE OR REPLACE FUNCTION budget._lock_order(p_work_order_id uuid)
RETURNS public.work_orders
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_order public.work_orders;
BEGIN
    IF p_work_order_id IS NULL THEN
        RAISE EXCEPTION 'p_work_order_id must not be null'
            USING ERRCODE = '22023', DETAIL = 'The id is null.', HINT = 'Give the id of the work order.';
    END IF;
    SELECT w.* INTO v_order FROM public.work_orders AS w WHERE w.id = p_work_order_id FOR NO KEY UPDATE;
    IF jsonb_typeof(v_order.metadata) <> 'object' THEN
        RAISE EXCEPTION 'the metadata of work order % is no JSON object', p_work_order_id
            USING ERRCODE = '22023',
            DETAIL = format('It is of type %s.', jsonb_typeof(v_order.metadata)),
            HINT = 'The decision is stored in it, beside what is there: make it an object first.';
    END IF;
    RETURN v_order;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_order(uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_order(uuid) IS
'The work order, locked until the end of the transaction; null when it is not in the table. Errors: 22023, 55P03.';
