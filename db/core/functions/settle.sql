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
    v_asked public.cost_tracking := v_row;
    v_policy budget._policy;
    v_now timestamptz;
    v_counted numeric;
    v_settlement jsonb;
    v_total numeric;
BEGIN
    IF NOT budget._is_settled(v_row, v_actual) THEN
        v_policy := budget._policy_in_force();
        v_now := budget._now();
        v_counted := budget._counted(v_policy, v_now, v_row);
        -- The day is summed only where the hold did not count as much.
        IF v_actual > v_counted AND v_policy.error IS NULL THEN
            v_total := budget._total_after(
                v_row.service_name, budget._requested(v_row.metadata), v_row.created_at, v_actual - v_counted
            );
        END IF;
        v_asked.cost := v_actual;
        v_asked.metadata := '{"type": "actual"}';
        v_asked.expires_at := NULL;
        v_settlement := budget._settlement(v_policy, v_total, v_metadata);
        -- Of a hold that is open all is known here, and the guard lets it by. Else it is for the guard to say when.
        IF v_row.expires_at > v_now AND NOT budget._has_kept_key(v_metadata) THEN
            v_settlement := v_settlement || jsonb_build_object('settled_at', budget._iso(v_now));
        ELSE
            v_settlement := v_settlement - 'settled_at';
        END IF;
        UPDATE public.cost_tracking AS l
        SET cost = v_actual, metadata = l.metadata || v_settlement, expires_at = NULL
        WHERE l.id = v_row.id
        RETURNING l.* INTO v_row;
        IF NOT budget._is_kept(v_asked, v_row) THEN
            PERFORM budget._require_kept(v_asked, v_row);
        END IF;
        IF v_total IS NOT NULL THEN
            PERFORM budget._escalate_spend(v_policy, v_total, v_row);
        END IF;
    END IF;
    v_lock_timeout := budget._end_write(v_lock_timeout);
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
