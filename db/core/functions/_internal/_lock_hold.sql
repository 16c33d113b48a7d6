-- The ledger first: whoever has to wait for a decision under the table lock does so before it reads anything, and
-- without holding up others at its row, such as that decision's own transaction.
CREATE OR REPLACE FUNCTION budget._lock_hold(p_reservation_id uuid)
RETURNS public.cost_tracking
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row public.cost_tracking;
BEGIN
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    SELECT l.*
    INTO v_row
    FROM public.cost_tracking AS l
    WHERE
        l.id = p_reservation_id
        AND (
            l.metadata ->> 'type' = 'reservation'
            OR (l.metadata ? 'reserved_at' AND l.metadata ->> 'type' IN ('actual', 'cancelled', 'expired'))
        )
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no reservation with the id %', coalesce(p_reservation_id::text, 'null')
            USING ERRCODE = 'PB002',
            DETAIL = 'No such row is in the ledger, or the row is plain spend that never was a hold.',
            HINT = 'If the money was spent, record it: budget.record(actual_cost, service_name).';
    END IF;
    RETURN v_row;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_hold(uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_hold(uuid) IS
'The ledger row of a reservation, locked until the end of the transaction, as is the ledger, in ROW EXCLUSIVE mode.
Errors: PB002 unknown, 55P03 lock wait.';
