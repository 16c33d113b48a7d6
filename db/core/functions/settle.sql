CREATE OR REPLACE FUNCTION budget.settle(
    p_reservation_id uuid,
    p_actual_cost numeric,
    p_metadata jsonb DEFAULT '{}'
)
RETURNS SETOF budget.outcome
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_actual numeric := budget._money(p_actual_cost, 'p_actual_cost');
    v_metadata jsonb := budget._metadata(p_metadata);
    v_lock_timeout text := budget._begin_write();
    v_row public.cost_tracking := budget._lock_hold(p_reservation_id);
    v_now timestamptz := budget._now();
    v_config budget._config;
    v_total numeric;
    v_asked public.cost_tracking := v_row;
BEGIN
    IF NOT budget._settled(v_row, v_actual) THEN
        v_config := budget._read_config();
        v_total := budget._total_after(v_config, v_actual, v_row.service_name, v_row.metadata, v_now, v_row);
        v_asked.cost := v_actual;
        v_asked.metadata := '{"type": "actual"}';
        v_asked.expires_at := NULL;
        UPDATE public.cost_tracking AS l
        SET cost = v_actual, metadata = l.metadata || budget._settlement(v_config, v_total, v_metadata)
        WHERE l.id = v_row.id
        RETURNING l.* INTO v_row;
        PERFORM budget._require_kept(v_asked, v_row);
        PERFORM budget._escalate_spend(v_config, v_total, v_row);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT budget._outcome(v_row);
END
$function$;

REVOKE ALL ON FUNCTION budget.settle(uuid, numeric, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.settle(uuid, numeric, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.settle(uuid, numeric, jsonb) IS
'Turns a hold into the spend it became. One row: the outcome.

p_reservation_id  the hold, also one that has lapsed, expired or was cancelled: the money was spent (late = true)
p_actual_cost     what the call cost, in the currency of the limits; at most 12 decimals, rounded up; it may exceed the
                  estimate and is recorded in full
p_metadata        a JSON object, at most 64 KiB, merged into the row beside the original metadata

Repeating it with the same amount gives the same outcome. over_limit: this spend left its day above the limit; NULL
while the configuration is broken. The spend is posted to the day that admitted the hold.
Errors: 22023, 22003 bad argument; PB002 unknown reservation; PB004 settled before with another amount; PB006
the ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, as a plain UPDATE takes it, and the hold''s own row, until the end of the
transaction. It takes no decision lock and works at any isolation level.';
