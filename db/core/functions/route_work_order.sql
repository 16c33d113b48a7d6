CREATE OR REPLACE FUNCTION budget.route_work_order(
    p_work_order_id uuid,
    p_task_description text,
    p_context_requirements jsonb,
    p_complexity_score numeric,
    p_approved_by_director boolean
)
RETURNS jsonb
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    c_service_name CONSTANT text := 'manager-routing';
    c_metadata CONSTANT jsonb := jsonb_build_object('work_order_id', p_work_order_id);
    v_lock_timeout text;
    v_order public.work_orders;
    v_hard_stop boolean;
    v_estimate numeric;
    v_verdict budget.verdict;
    v_config budget._config;
    v_status text;
    v_decision jsonb;
BEGIN
    IF p_approved_by_director IS NOT TRUE THEN
        RETURN budget._routing_refused('Work Order must be approved by Director before routing');
    END IF;
    IF NOT EXISTS (SELECT FROM budget._active_proposers()) THEN
        RETURN budget._routing_refused('No active proposers available');
    END IF;
    v_hard_stop := budget.detect_hard_stop(p_task_description);
    v_estimate := budget.estimate(p_complexity_score, v_hard_stop);

    v_lock_timeout := budget._begin_decision();
    v_order := budget._lock_order(p_work_order_id);
    -- All of the room: it is given back in part before it is asked for.
    PERFORM budget._serialise('advisory', ARRAY[ROW(c_service_name, c_metadata, NULL, 1e15)::budget._posting]);
    PERFORM budget._cancel_order_holds(
        p_work_order_id, v_order.metadata #>> '{manager_routing,routing_metadata,budget_reservation_id}'
    );
    v_verdict := budget._reserve(
        'advisory', v_estimate, c_service_name, c_metadata, NULL, NULL, p_work_order_id
    );
    IF v_verdict.can_proceed THEN
        v_config := budget._require_config();
        v_status := budget._budget_status(v_config, v_verdict.current_total);
        IF v_status = 'emergency_kill' THEN
            -- Only a service that no limit refuses gets here, and routing stops at the kill all the same.
            PERFORM budget.cancel(v_verdict.reservation_id, 'emergency kill');
            v_verdict.can_proceed := false;
            v_verdict.reason := 'exhausted';
            PERFORM budget._escalate_refusal(
                v_config, v_verdict, v_estimate, c_service_name, c_metadata, budget._now(), p_work_order_id
            );
        END IF;
    END IF;
    IF NOT v_verdict.can_proceed THEN
        PERFORM budget._end_write(v_lock_timeout);
        RETURN budget._routing_refused('Daily budget limit exceeded');
    END IF;

    v_decision := budget._routing_decision(p_complexity_score, v_hard_stop, v_status, v_verdict);
    UPDATE public.work_orders AS w
    SET
        metadata = coalesce(w.metadata, '{}') || jsonb_build_object(
            'manager_routing', v_decision || jsonb_build_object('routed_at', budget._iso(budget._now()))
        ),
        updated_at = budget._now()
    WHERE w.id = p_work_order_id;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN jsonb_build_object('success', true, 'routing_decision', v_decision);
END
$function$;

REVOKE ALL ON FUNCTION budget.route_work_order(uuid, text, jsonb, numeric, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.route_work_order(uuid, text, jsonb, numeric, boolean) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.route_work_order(uuid, text, jsonb, numeric, boolean) IS
'Reserves the budget for a work order, chooses its proposer and stores the decision, in one transaction: an error
undoes all.

p_work_order_id         the order; one that is not in the table is routed all the same, without being stored
p_task_description      searched for the words of a hard stop
p_context_requirements  taken for the caller''s convenience; no rule reads it
p_complexity_score      finite; see budget.estimate for its tiers
p_approved_by_director  without true nothing is routed, and nothing reserved

Returns {success: true, routing_decision} or {success: false, error}. The decision goes into the order''s
metadata.manager_routing, beside what is there; routing_metadata.budget_reservation_id is the hold to settle or cancel.
Routing an order again first cancels its open hold. A refusal by the budget is escalated once per order and day.
Errors: 22023 bad argument, or metadata of the order that is no object; PB001 not READ COMMITTED; PB005 broken
configuration; PB006 the ledger did not keep the row; 55P03 lock wait.
Locks: the order''s row, then those of budget.reserve_advisory.';
