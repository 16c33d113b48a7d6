CREATE OR REPLACE FUNCTION budget.extend(
    p_reservation_id uuid,
    p_new_estimate numeric DEFAULT NULL,
    p_ttl interval DEFAULT NULL
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_estimate numeric := CASE WHEN p_new_estimate IS NOT NULL THEN budget._money(p_new_estimate, 'p_new_estimate') END;
    v_ttl interval := CASE WHEN p_ttl IS NOT NULL THEN budget._ttl(p_ttl) END;
    v_lock_timeout text;
    v_row public.cost_tracking;
    v_decision record;
    v_now timestamptz;
    v_config budget._config;
    v_verdict budget.verdict;
    v_asked public.cost_tracking;
    v_extended public.cost_tracking;
BEGIN
    v_lock_timeout := budget._begin_decision();
    -- The own row first, then the decision lock: the one order that every function keeps.
    v_row := budget._lock_hold(p_reservation_id);
    v_estimate := coalesce(v_estimate, v_row.cost);
    v_decision := budget._serialise(
        'advisory',
        ARRAY[
            ROW(
                v_row.service_name, budget._request(v_row.metadata), v_row.created_at, v_estimate - v_row.cost
            )::budget._posting
        ]
    );
    v_now := v_decision.decided_at;
    v_config := v_decision.config;
    IF v_row.expires_at IS NULL THEN
        PERFORM budget._forbid(v_row, 'extended', 'a longer life');
    END IF;

    v_verdict := budget._decide(
        v_config, v_estimate, v_row.service_name, v_row.metadata -> 'original_metadata', v_now, v_row
    );
    IF v_verdict.can_proceed THEN
        v_asked := v_row;
        v_asked.cost := v_estimate;
        IF v_ttl IS NOT NULL OR v_row.expires_at <= v_now THEN
            v_asked.expires_at := v_now + coalesce(v_ttl, v_config.reservation_ttl);
        END IF;
        IF (v_asked.cost, v_asked.expires_at) <> (v_row.cost, v_row.expires_at) THEN
            v_asked.metadata := '{"type": "reservation"}';
            UPDATE public.cost_tracking AS l
            SET cost = v_asked.cost, expires_at = v_asked.expires_at
            WHERE l.id = v_row.id
            RETURNING l.* INTO v_extended;
            PERFORM budget._require_kept(v_asked, v_extended);
        END IF;
        v_verdict.reservation_id := v_row.id;
        v_verdict.expires_at := v_asked.expires_at;
        PERFORM budget._escalate_caps(
            v_config,
            v_verdict.current_total - budget._counted(v_config, v_now, v_row) + v_estimate,
            v_row.created_at
        );
    ELSE
        PERFORM budget._escalate_caps(
            v_config, CASE v_verdict.budget WHEN 'daily' THEN v_verdict.current_total END, v_row.created_at
        );
        PERFORM budget._escalate_refusal(
            v_config, v_verdict, v_estimate, v_row.service_name, budget._request(v_row.metadata), v_row.created_at, NULL
        );
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget.extend(uuid, numeric, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.extend(uuid, numeric, interval) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.extend(uuid, numeric, interval) IS
'Sets the total estimate of an open hold, moves its expiry, or both: all or nothing. One row: the verdict.

p_reservation_id  the hold; one that has lapsed is revived if there is room
p_new_estimate    the new total (not an addition), in the currency of the limits; NULL leaves it as it is
p_ttl             the hold lapses this long from now, at most 24 hours; NULL leaves the expiry of an open hold as it is
                  and gives a lapsed one the limits'' reservation_ttl

The room is looked for in the window that admitted the hold. A hold that asks for no more than it counts already is
refused by a freeze alone. Refused, it stays as it was.
Errors: 22023, 22003 bad argument; PB001 not READ COMMITTED; PB002 unknown reservation; PB004 the hold has ended;
PB005 broken configuration; PB006 the ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, the hold''s own row, then those of budget.reserve_advisory.';
