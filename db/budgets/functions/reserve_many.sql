CREATE OR REPLACE FUNCTION budget.reserve_many(p_requests jsonb)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_asked record := budget._elements(
        p_requests, 'p_requests', ARRAY['estimated_cost', 'service_name', 'metadata', 'reservation_id', 'ttl']
    );
    v_count integer := cardinality(v_asked.postings);
    v_lock_timeout text := budget._begin_decision();
    v_decision record := budget._serialise('advisory', v_asked.postings);
    v_posting budget._posting;
    v_verdict budget.verdict;
    v_first integer := 1;
    v_last integer;
    v_size integer := v_count;
BEGIN
    -- What fits is granted in one go. What does not is halved, down to the request that is refused; after what fits
    -- comes twice as much.
    WHILE v_first <= v_count LOOP
        v_last := least(v_first + v_size - 1, v_count);
        IF v_last > v_first THEN
            RETURN QUERY
            SELECT a.*
            FROM budget._admit_all(
                v_decision.config, v_decision.decided_at, v_asked.postings[v_first:v_last],
                v_asked.ids[v_first:v_last], v_asked.ttls[v_first:v_last]
            ) AS a;
            IF NOT FOUND THEN
                v_size := (v_last - v_first + 1) / 2;
                CONTINUE;
            END IF;
            v_size := v_size * 2;
        ELSE
            v_posting := v_asked.postings[v_first];
            v_verdict := budget._admit(
                v_decision.config, v_posting.amount, v_posting.service_name, v_posting.request, v_decision.decided_at,
                v_asked.ids[v_first], v_asked.ttls[v_first], NULL
            );
            RETURN NEXT v_verdict;
            v_size := CASE WHEN v_verdict.can_proceed THEN 2 ELSE 1 END;
        END IF;
        v_first := v_last + 1;
    END LOOP;
    PERFORM budget._end_write(v_lock_timeout);
END
$function$;

REVOKE ALL ON FUNCTION budget.reserve_many(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.reserve_many(jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.reserve_many(jsonb) IS
'Reserves for many calls at once, in one transaction. A verdict for each request, in the order given, and the same as if
budget.reserve had been called for one after another: each is granted while the room lasts, a refusal is a row too.

p_requests  a JSON array of at most 10000 objects. Their keys are the arguments of budget.reserve: estimated_cost (a
            number, or text, which no reader makes a float of) and service_name; where needed metadata, reservation_id
            and ttl. A reservation_id that stands in it twice is a repeat of the first.

Errors: 22023, 22003 bad argument, with the place of the request in the detail; PB001 not READ COMMITTED; PB003 id reused
with other arguments; PB005 broken configuration; PB006 the ledger did not keep a row; 55P03 lock wait. With any of them
nothing is reserved.
Locks: those of budget.reserve for all requests together, until the end of the transaction.';
