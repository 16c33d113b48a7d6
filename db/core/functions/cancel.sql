CREATE OR REPLACE FUNCTION budget.cancel(
    p_reservation_id uuid,
    p_reason text DEFAULT NULL
)
RETURNS SETOF budget.outcome
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_reason jsonb := budget._metadata(jsonb_strip_nulls(jsonb_build_object('cancel_reason', p_reason)), 'p_reason');
    v_lock_timeout text := budget._begin_write();
    v_row public.cost_tracking := budget._lock_hold(p_reservation_id);
    v_asked public.cost_tracking := v_row;
BEGIN
    CASE v_row.metadata ->> 'type'
        WHEN 'actual' THEN
            PERFORM budget._forbid(v_row, 'cancelled', 'state cancelled');
        WHEN 'cancelled' THEN
            NULL; -- a repeat: the first reason stands
        ELSE
            -- The row stays, at cost 0: a late settle, a repeat and an audit still find it.
            UPDATE public.cost_tracking AS l
            SET cost = 0, metadata = l.metadata || v_reason || '{"type": "cancelled"}'
            WHERE l.id = v_row.id
            RETURNING l.* INTO v_row;
            v_asked.cost := 0;
            v_asked.metadata := '{"type": "cancelled"}';
            v_asked.expires_at := NULL;
            PERFORM budget._require_kept(v_asked, v_row);
    END CASE;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT budget._outcome(v_row);
END
$function$;

REVOKE ALL ON FUNCTION budget.cancel(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.cancel(uuid, text) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.cancel(uuid, text) IS
'Gives a hold''s money back because the call failed and cost nothing. One row: the outcome.

p_reservation_id  the hold
p_reason          why, kept in the row; optional

The ledger row stays, at cost 0. Repeating it changes nothing. If the call turns out to have cost something after all,
settle the same reservation: that is recorded in full and marked late.
Errors: PB002 unknown reservation; PB004 the hold is settled; PB006 the ledger did not keep the row; 22023 bad
argument; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, as a plain UPDATE takes it, and the hold''s own row, until the end of the
transaction. It takes no decision lock and works at any isolation level.';
