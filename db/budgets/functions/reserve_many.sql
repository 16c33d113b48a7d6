-- All standings are found once, under the locks of all; each request is then decided by what those before it have left.
-- Holds are written together, at the latest when one of them may be asked for.
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
    v_lock_timeout text := budget._begin_decision();
    v_decision budget._decision := budget._standings(v_asked.requests, 'advisory');
    v_policy budget._policy := budget._require_policy(v_decision.policy);
    v_standings budget._standing[] := v_decision.standings;
    v_element record;
    v_row public.cost_tracking;
    v_own integer;
    v_fits boolean;
    v_verdict budget.verdict;
    v_verdicts budget.verdict[] := ARRAY[]::budget.verdict[];
    v_written integer := 0; -- up to this element, holds are in the ledger
    v_is_decided boolean := false; -- or are all of them repeats?
BEGIN
    FOR v_element IN
        SELECT
            r.n::integer AS n,
            v_asked.ids[r.n] AS id,
            r.service_name,
            r.metadata,
            r.amount,
            coalesce(v_asked.ttls[r.n], v_policy.reservation_ttl) AS ttl,
            v_policy.exempt_services ? r.service_name AS is_exempt,
            m.standings,
            EXISTS (SELECT FROM public.cost_tracking AS l WHERE l.id = v_asked.ids[r.n])
            OR row_number() OVER (PARTITION BY v_asked.ids[r.n] ORDER BY r.n) > 1 AS is_repeat
        FROM unnest(v_asked.requests) WITH ORDINALITY AS r (service_name, metadata, created_at, amount, n)
        CROSS JOIN LATERAL (
            SELECT array_agg(s.n::integer ORDER BY s.n) AS standings
            FROM budget._members_of(r.service_name, r.metadata) AS k
            INNER JOIN unnest(v_decision.standings) WITH ORDINALITY AS s (
                budget, dimension, member, starts_at, ends_at, limit_amount, total, held, blocks, slots, slot, amount, n
            ) ON k.budget = s.budget AND k.member = s.member
        ) AS m
        ORDER BY r.n
    LOOP
        v_row := NULL;
        v_fits := NOT v_element.is_repeat;
        v_decision.standings := '{}';
        FOREACH v_own IN ARRAY v_element.standings LOOP
            v_decision.standings := v_decision.standings || v_standings[v_own];
            v_fits := v_fits AND (
                v_element.is_exempt
                OR NOT v_standings[v_own].blocks
                OR v_standings[v_own].total + v_element.amount <= v_standings[v_own].limit_amount
            );
        END LOOP;
        IF NOT v_fits THEN
            v_verdicts := v_verdicts[:v_written] || budget._write_holds(
                v_decision, v_asked.requests[v_written + 1:], v_asked.ids[v_written + 1:], v_verdicts[v_written + 1:]
            );
            v_written := v_element.n;
            IF v_element.is_repeat THEN
                SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = v_element.id;
            END IF;
        END IF;

        IF v_row.id IS NOT NULL THEN
            v_verdict := budget._replay(v_element.amount, v_element.service_name, v_element.metadata, v_row);
        ELSE
            v_is_decided := true;
            v_verdict := budget._verdict(v_decision, v_element.amount, v_element.service_name, NULL);
            IF v_verdict.can_proceed THEN
                v_written := least(v_written, v_element.n - 1);
                v_verdict.reservation_id := v_element.id;
                v_verdict.expires_at := v_decision.decided_at + v_element.ttl;
                FOREACH v_own IN ARRAY v_element.standings LOOP
                    v_standings[v_own].total := v_standings[v_own].total + v_element.amount;
                    v_standings[v_own].held := v_standings[v_own].held + v_element.amount;
                END LOOP;
            ELSE
                PERFORM budget._escalate_refusal(
                    v_decision, v_verdict, v_element.amount, v_element.service_name, NULL
                );
            END IF;
        END IF;
        v_verdicts[v_element.n] := v_verdict;
    END LOOP;
    v_verdicts := v_verdicts[:v_written] || budget._write_holds(
        v_decision, v_asked.requests[v_written + 1:], v_asked.ids[v_written + 1:], v_verdicts[v_written + 1:]
    );
    IF v_is_decided AND budget._reaches_cap(v_policy, v_standings[1].total) THEN
        PERFORM budget._escalate_caps(v_policy, v_standings[1].total, v_standings[1].starts_at);
    END IF;
    v_lock_timeout := budget._end_write(v_lock_timeout);
    RETURN QUERY SELECT v.* FROM unnest(v_verdicts) AS v;
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
