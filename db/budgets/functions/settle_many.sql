CREATE OR REPLACE FUNCTION budget.settle_many(p_settlements jsonb)
RETURNS SETOF budget.outcome
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_asked record := budget._elements(
        p_settlements, 'p_settlements', ARRAY['actual_cost', 'reservation_id', 'metadata']
    );
    v_lock_timeout text := budget._begin_write();
    v_open integer[] := budget._lock_holds(v_asked.ids, v_asked.amounts);
    v_now timestamptz := budget._now();
    v_config budget._config := budget._read_config();
    v_booked record;
    v_count integer := 0;
    v_asked_row public.cost_tracking;
BEGIN
    FOR v_booked IN
        UPDATE public.cost_tracking AS l
        SET cost = s.amount, metadata = l.metadata || budget._settlement(v_config, t.total, s.metadata)
        FROM unnest(v_asked.ids, v_asked.postings) WITH ORDINALITY AS s (id, service_name, metadata, created_at, amount, n)
        LEFT JOIN budget._totals_after(v_config, v_asked.ids, v_asked.amounts, v_open, v_now) AS t ON s.n = t.n
        WHERE l.id = s.id AND s.n = ANY (v_open)
        RETURNING l AS hold, s.id, s.amount, t.total
    LOOP
        v_count := v_count + 1;
        v_asked_row := v_booked.hold;
        v_asked_row.id := v_booked.id;
        v_asked_row.cost := v_booked.amount;
        v_asked_row.metadata := '{"type": "actual"}';
        v_asked_row.expires_at := NULL;
        PERFORM budget._require_kept(v_asked_row, v_booked.hold);
        CONTINUE WHEN v_booked.total IS NULL;
        PERFORM budget._escalate_spend(v_config, v_booked.total, v_booked.hold);
    END LOOP;
    IF v_count < cardinality(v_open) THEN
        SELECT l.*
        INTO v_asked_row
        FROM unnest(v_open) AS o (n)
        INNER JOIN public.cost_tracking AS l ON v_asked.ids[o.n] = l.id
        WHERE l.metadata ->> 'type' <> 'actual'
        LIMIT 1;
        PERFORM budget._require_kept(v_asked_row, NULL);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN QUERY
    SELECT o.*
    FROM unnest(v_asked.ids) WITH ORDINALITY AS s (id, n)
    INNER JOIN public.cost_tracking AS l ON s.id = l.id
    CROSS JOIN LATERAL budget._outcome(l) AS o
    ORDER BY s.n;
END
$function$;

REVOKE ALL ON FUNCTION budget.settle_many(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.settle_many(jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.settle_many(jsonb) IS
'Settles many holds at once, in one transaction, all or none. An outcome for each settlement, in the order given, as
budget.settle has it; over_limit: the whole batch left this spend''s day above the limit.

p_settlements  a JSON array of at most 10000 objects. Their keys are the arguments of budget.settle: reservation_id and
               actual_cost (a number, or text, which no reader makes a float of), and metadata where there is some

Repeating it gives the same outcomes, and so does an element that repeats another.
Errors: 22023, 22003 bad argument; PB002 unknown reservation; PB004 settled before, or earlier in the batch, with another
amount, each with the place of the settlement in the detail; PB006 the ledger did not keep a row; 55P03 lock wait. With any of them nothing is settled.
Locks: those of budget.settle for all holds, taken in the order of their ids. It takes no decision lock and works at any
isolation level.';
