CREATE OR REPLACE FUNCTION budget.record(
    p_actual_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}',
    p_id uuid DEFAULT NULL
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
    v_service_name text := budget._service_name(p_service_name);
    v_metadata jsonb := budget._metadata(p_metadata);
    v_id uuid := coalesce(p_id, gen_random_uuid());
    v_lock_timeout text := budget._begin_write();
    v_config budget._config;
    v_now timestamptz;
    v_total numeric;
    v_asked public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    -- All is read after the wait: a spend that waited past midnight belongs to the new day, and goes by its limits.
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    -- A row of this id that somebody is deleting is waited for here, before the day is read, and stays from here on.
    IF p_id IS NOT NULL THEN
        PERFORM FROM public.cost_tracking AS l WHERE l.id = p_id FOR KEY SHARE;
    END IF;
    v_now := budget._now();
    v_config := budget._read_config();
    v_total := budget._total_after(v_config, v_actual, v_service_name, v_metadata, v_now, NULL);
    v_asked.id := v_id;
    v_asked.service_name := v_service_name;
    v_asked.cost := v_actual;
    v_asked.metadata := jsonb_build_object(
        'type', 'actual',
        'original_metadata', v_metadata,
        'recorded_at', budget._iso(v_now),
        'over_limit', budget._over_limit(v_config, v_total)
    );
    v_asked.created_at := v_now;
    INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at)
    VALUES (v_id, v_service_name, v_actual, v_asked.metadata, v_now)
    ON CONFLICT (id) DO NOTHING
    RETURNING l.* INTO v_row;

    IF FOUND OR NOT budget._is_taken(v_id) THEN
        PERFORM budget._require_kept(v_asked, v_row);
        PERFORM budget._escalate_spend(v_config, v_total, v_row);
    ELSE
        v_row := budget._recorded(v_id, v_actual, v_service_name, v_metadata);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    IF v_row.id IS NULL THEN
        -- The row that had the id was deleted in between: it is free again.
        RETURN QUERY SELECT r.* FROM budget.record(v_actual, v_service_name, v_metadata, v_id) AS r;
        RETURN;
    END IF;
    RETURN NEXT budget._outcome(v_row);
END
$function$;

REVOKE ALL ON FUNCTION budget.record(numeric, text, jsonb, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.record(numeric, text, jsonb, uuid) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.record(numeric, text, jsonb, uuid) IS
'Books spend that had no hold. Never refused, also while frozen or over the limit: the money is gone. One row: the
outcome.

p_actual_cost   what was spent, in the currency of the limits; at most 12 decimals, rounded up
p_service_name  who spent it, 1 to 200 characters
p_metadata      a JSON object, at most 64 KiB, kept as original_metadata
p_id            the row''s id, which makes a repeat safe: the same id with the same arguments is booked once

Errors: 22023, 22003 bad argument; PB003 the id stands for something else; PB006 the
ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, as a plain INSERT does, and with p_id KEY SHARE on the row that it repeats. It
takes no decision lock and works at any isolation level.';
