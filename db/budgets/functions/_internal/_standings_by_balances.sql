-- Whoever decides about a balance has its advisory lock: alone, or, where the budget has slots, shared, and with it the
-- slot's own lock alone. So no decision waits at a row, and what a caller rolls back to a savepoint is free at once.
-- The advisory lock of core's decisions is shared among these; it keeps out a call of core's that was under way when
-- this series was applied, and the other way round.
-- A try that finds too little room in its own slot gives its locks back, and comes again for the whole balance.
CREATE OR REPLACE FUNCTION budget._standings_by_balances(p_requests budget._request[], p_lock text)
RETURNS budget._decision
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_generic_plan'
AS $function$
DECLARE
    c_decisions CONSTANT bigint := 8099550711184319860;
    c_most CONSTANT integer := 256; -- locks of one call: the server's table of locks has an end
    c_pile CONSTANT integer := 16; -- postings that are left unfolded under a slot
    v_whole boolean := false;
    v_keys bigint[];
    v_alone boolean[];
    v_slot_keys bigint[];
    v_asked budget._standing[];
    v_decision budget._decision;
    v_policy budget._policy;
    v_now timestamptz;
    v_lapsed_at timestamptz;
    v_found record;
    v_standing budget._standing;
    v_standings budget._standing[];
    v_fits boolean;
    v_lacks_room boolean;
    v_is_piled boolean;
BEGIN
    LOOP
        BEGIN
            IF p_lock IS NOT NULL THEN
                LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
            END IF;
            SELECT
                array_agg(
                    ROW(
                        m.budget, m.dimension, m.member, m.created_at, NULL, NULL, NULL, NULL, true, m.slots,
                        budget._own_slot(m.slots), m.amount
                    )::budget._standing
                    ORDER BY m.budget <> 'daily', m.budget, m.member
                ),
                -- In this order they are locked, by everyone.
                array_agg(m.key ORDER BY m.key),
                array_agg(m.slots = 1 OR v_whole ORDER BY m.key),
                array_agg(
                    hashtextextended(m.budget || ' ' || m.member, budget._own_slot(m.slots)) ORDER BY m.key
                ) FILTER (WHERE m.slots > 1 AND NOT v_whole)
            INTO v_asked, v_keys, v_alone, v_slot_keys
            FROM (
                SELECT
                    k.budget, k.dimension, k.member, k.slots, r.created_at, sum(r.amount) AS amount,
                    hashtextextended(k.budget || ' ' || k.member, 0) AS key
                FROM unnest(p_requests) AS r
                CROSS JOIN LATERAL budget._members_of(r.service_name, r.metadata) AS k
                GROUP BY k.budget, k.dimension, k.member, k.slots, r.created_at
            ) AS m;
            IF p_lock IS NULL THEN
                NULL;
            ELSIF cardinality(v_keys) > c_most THEN
                v_whole := true;
                PERFORM pg_advisory_xact_lock(c_decisions);
            ELSE
                PERFORM pg_advisory_xact_lock_shared(c_decisions);
                PERFORM CASE
                    WHEN k.is_alone THEN pg_advisory_xact_lock(k.key)
                    ELSE pg_advisory_xact_lock_shared(k.key)
                END
                FROM unnest(v_keys, v_alone) AS k (key, is_alone);
                IF v_slot_keys IS NOT NULL THEN
                    PERFORM pg_advisory_xact_lock(k.key) FROM unnest(v_slot_keys) AS k (key);
                END IF;
            END IF;

            -- From here on each statement sees all that was committed before the last lock was granted.
            v_now := budget._now();
            v_policy := budget._policy_in_force();
            v_standings := '{}';
            v_fits := true;
            v_lacks_room := false;
            v_is_piled := false;
            FOREACH v_standing IN ARRAY coalesce(v_asked, '{}') LOOP
                -- In one statement: who settles or cancels a hold meanwhile is seen in all of it, or in none.
                SELECT
                    w.starts_at,
                    w.ends_at,
                    i.limit_now,
                    b.enforcement = 'block' AS blocks,
                    e.lapsed_at,
                    -- Of a budget that has room even so, nothing is told but the day's total; and what is extended may
                    -- itself have lapsed.
                    CASE
                        WHEN e.lapsed_at IS NOT NULL
                            AND v_policy.on_expiry = 'release'
                            AND (
                                b.name = 'daily'
                                OR o.total + v_standing.amount > i.limit_now
                                OR p_requests[1].created_at IS NOT NULL
                            )
                            THEN budget._holds_expiring(k.standing, '-infinity', v_now)
                        ELSE 0
                    END AS lapsed,
                    CASE
                        WHEN o.total + v_standing.amount > i.limit_now
                            THEN budget._holds_expiring(k.standing, v_now, 'infinity')
                    END AS held,
                    o.*
                INTO v_found
                FROM budget.budgets AS b
                CROSS JOIN LATERAL budget._window_at(b, v_standing.member, coalesce(v_standing.starts_at, v_now)) AS w
                CROSS JOIN LATERAL budget._booked(
                    b.name, b.dimension, v_standing.member, w.starts_at, w.ends_at, w.ends_at > b.counted_from,
                    v_standing.slot
                ) AS o
                CROSS JOIN LATERAL (
                    SELECT ROW(
                        b.name, b.dimension, v_standing.member, w.starts_at, w.ends_at, NULL, NULL, NULL, NULL, NULL, NULL,
                        NULL
                    )::budget._standing AS standing
                ) AS k
                CROSS JOIN LATERAL (
                    SELECT
                        coalesce(
                            budget._limit_in_force(b.limit_amount, b.extra, b.extra_until, v_now), v_policy.emergency_kill
                        ) AS limit_now
                ) AS i
                -- The oldest alone is found by the index, whatever the planner knows of the ledger.
                CROSS JOIN (
                    SELECT min(l.expires_at) AS lapsed_at FROM public.cost_tracking AS l WHERE l.expires_at <= v_now
                ) AS e
                WHERE b.name = v_standing.budget;
                CONTINUE WHEN NOT FOUND;
                v_standing.starts_at := v_found.starts_at;
                v_standing.ends_at := v_found.ends_at;
                v_standing.limit_amount := v_found.limit_now;
                v_standing.blocks := v_found.blocks;
                v_lapsed_at := v_found.lapsed_at;
                -- A hold that has lapsed counts nowhere, marked or not.
                v_standing.total := v_found.total - v_found.lapsed;
                v_standing.held := v_found.held;
                v_fits := v_fits
                    AND (v_standing.total + v_standing.amount <= v_standing.limit_amount OR NOT v_standing.blocks);
                v_is_piled := v_is_piled OR v_found.posted_here > CASE WHEN v_found.is_open THEN c_pile ELSE 0 END;
                -- What was spent without asking, and what a lowered limit took away, may be missing from any slot.
                v_lacks_room := v_lacks_room
                    OR v_standing.slots > 1
                    AND v_standing.blocks
                    AND (
                        greatest(0, v_standing.amount) + greatest(0, -v_found.room_of_base)
                        + greatest(0, v_found.room_of - v_standing.limit_amount) + v_found.unreserved - v_found.room_here
                        <= 0
                    ) IS NOT TRUE;
                v_standings := v_standings || v_standing;
            END LOOP;
            -- Where there is no room in all of it, no more of it need be looked at.
            IF p_lock IS NOT NULL AND v_lacks_room AND v_fits AND NOT v_whole
                AND NOT v_policy.exempt_services ?& ARRAY(SELECT r.service_name FROM unnest(p_requests) AS r)
            THEN
                v_whole := true;
                RAISE EXCEPTION USING ERRCODE = 'PB099';
            END IF;
        EXCEPTION
            WHEN SQLSTATE 'PB099' THEN
                CONTINUE;
            WHEN lock_not_available THEN
                PERFORM budget._refuse_wait('advisory', c_decisions || v_keys || v_slot_keys);
        END;
        EXIT;
    END LOOP;

    v_decision := ROW(v_now, v_policy, v_standings);
    IF p_lock IS NULL OR v_policy.frozen OR v_policy.error IS NOT NULL THEN
        RETURN v_decision;
    END IF;
    IF v_is_piled OR (v_whole AND v_fits) THEN
        FOREACH v_standing IN ARRAY v_standings LOOP
            IF v_standing.slots = 1 OR NOT v_whole THEN
                PERFORM budget._fold(v_standing);
            ELSIF v_fits THEN
                PERFORM budget._spread_room(v_standing);
            END IF;
        END LOOP;
    END IF;
    -- Not where a hold is extended: it may be one of those that have lapsed.
    IF v_lapsed_at IS NOT NULL AND p_requests[1].created_at IS NULL THEN
        PERFORM budget._reclaim(v_now);
    END IF;
    RETURN v_decision;
END
$function$;

REVOKE ALL ON FUNCTION budget._standings_by_balances(budget._request[], text) FROM PUBLIC;
COMMENT ON FUNCTION budget._standings_by_balances(budget._request[], text) IS
'Where the budgets stand that the requests belong to, read from their balances. With p_lock, whatever it says, it takes
ROW EXCLUSIVE on the ledger, the advisory lock 8099550711184319860 shared, and an advisory lock for each balance; of more
than 256 balances that one lock alone instead. Errors: 55P03.';
