-- depends: 0001.pgbudget_budgets_tables
-- What the balances are kept, read and managed with. Core's functions do not call it yet.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._note_found();
END
$do$;

-- begin functions/_internal/_window.sql
-- Minutes and hours are stretches of time, the same everywhere; days, weeks and months are the calendar's, in a zone.
CREATE OR REPLACE FUNCTION budget._window(
    p_period text,
    p_at timestamptz,
    p_zone text,
    OUT starts_at timestamptz,
    OUT ends_at timestamptz
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_day record;
    v_first date;
    v_zone text := p_zone;
BEGIN
    IF NOT isfinite(p_at) THEN
        RETURN; -- a direct writer's 'infinity' is in no window
    END IF;
    IF p_period = 'total' THEN
        starts_at := '-infinity';
        ends_at := 'infinity';
    ELSIF NOT budget._has_day(p_at) THEN
        RETURN; -- nor is a row of the year 20000, but it is spent all the same
    ELSIF p_period IN ('minute', 'hour') THEN
        starts_at := date_trunc(p_period, p_at);
        ends_at := starts_at + ('1 ' || p_period)::interval;
    ELSE
        v_zone := coalesce(p_zone, (budget._policy_in_force()).timezone);
        v_day := budget._day(p_at, v_zone);
        IF p_period = 'day' THEN
            starts_at := v_day.starts_at;
            ends_at := v_day.ends_at;
            RETURN;
        END IF;
        v_first := date_trunc(p_period, v_day.day::timestamp)::date;
        starts_at := budget._day_start(v_first, v_zone);
        ends_at := budget._day_start((v_first + ('1 ' || p_period)::interval)::date, v_zone);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._window(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._window(text, timestamptz, text) IS
'The window of a period that an instant belongs to: starts_at <= instant < ends_at. NULL where there is none.
Without a zone it is that of the limits in force.';
-- end functions/_internal/_window.sql

-- begin functions/_internal/_limit_in_force.sql
-- A raise ends by itself: nothing is written when its time has come.
CREATE OR REPLACE FUNCTION budget._limit_in_force(
    p_limit numeric,
    p_extra numeric,
    p_until timestamptz,
    p_now timestamptz
)
RETURNS numeric
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT p_limit + CASE WHEN p_now < p_until THEN p_extra ELSE 0 END
$function$;

REVOKE ALL ON FUNCTION budget._limit_in_force(numeric, numeric, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._limit_in_force(numeric, numeric, timestamptz, timestamptz) IS
'The limit of a budget and what it is raised by at p_now; null for the day, whose limit is core''s.';
-- end functions/_internal/_limit_in_force.sql

-- begin functions/_internal/_slots_of.sql
CREATE OR REPLACE FUNCTION budget._slots_of(p_slots integer, p_amount numeric)
RETURNS TABLE (slot integer, amount numeric, room numeric)
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT
        s.slot,
        CASE s.slot WHEN 0 THEN p_amount ELSE 0 END,
        CASE s.slot WHEN 0 THEN -p_amount ELSE 0 END
    FROM pg_catalog.generate_series(0, CASE p_slots WHEN 1 THEN 0 ELSE p_slots END) AS s (slot)
$function$;

REVOKE ALL ON FUNCTION budget._slots_of(integer, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._slots_of(integer, numeric) IS
'The rows of a balance that is opened with an amount: slot 0 has all of it, and those beside it have no room yet.';
-- end functions/_internal/_slots_of.sql

-- begin functions/_internal/_own_slot.sql
-- Consecutive sessions of a server have consecutive numbers.
CREATE OR REPLACE FUNCTION budget._own_slot(p_slots integer)
RETURNS integer
LANGUAGE sql
STABLE
AS $function$
    SELECT CASE WHEN p_slots > 1 THEN 1 + pg_backend_pid() % p_slots ELSE 0 END
$function$;

REVOKE ALL ON FUNCTION budget._own_slot(integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._own_slot(integer) IS 'The slot of this session, of so many; 0 where there is but one.';
-- end functions/_internal/_own_slot.sql

-- begin functions/_internal/_members_of.sql
-- A budget with a member is that member's alone; one without has a balance for each.
CREATE OR REPLACE FUNCTION budget._members_of(p_service_name text, p_request jsonb)
RETURNS TABLE (budget text, dimension text, member text, slots integer)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        b.name,
        b.dimension,
        m.member,
        b.slots
    FROM budget.budgets AS b
    CROSS JOIN LATERAL (
        SELECT budget._member(b.dimension, p_service_name, p_request) AS member OFFSET 0 -- computed once
    ) AS m
    WHERE b.is_active AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL))
$function$;

REVOKE ALL ON FUNCTION budget._members_of(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._members_of(text, jsonb) IS
'The budgets that a request belongs to, and as whose it counts in each.';
-- end functions/_internal/_members_of.sql

-- begin functions/_internal/_window_at.sql
-- The bounds of the running window are at hand in the newest balance of the member; they are computed only where that
-- has ended, or is not open yet. A row of a year that has no day is in no window but that of a total.
CREATE OR REPLACE FUNCTION budget._window_at(p_budget budget.budgets, p_member text, p_at timestamptz)
RETURNS TABLE (starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        coalesce(k.starts_at, w.starts_at),
        coalesce(k.ends_at, w.ends_at)
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT
            o.starts_at,
            o.ends_at
        FROM budget.balances AS o
        WHERE o.budget = (p_budget).name AND o.member = p_member AND o.starts_at <= p_at
        ORDER BY o.starts_at DESC
        LIMIT 1
    ) AS k ON p_at < k.ends_at
    LEFT JOIN LATERAL (
        SELECT
            c.starts_at,
            c.ends_at
        FROM budget._window((p_budget).period, p_at, (p_budget).timezone) AS c
        WHERE k.starts_at IS NULL
        OFFSET 0
    ) AS w ON true
    WHERE pg_catalog.isfinite(p_at) AND coalesce(k.starts_at, w.starts_at) IS NOT NULL
$function$;

REVOKE ALL ON FUNCTION budget._window_at(budget.budgets, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._window_at(budget.budgets, text, timestamptz) IS
'The window of a budget that an instant belongs to, for a member; no row where there is none.';
-- end functions/_internal/_window_at.sql

-- begin functions/_internal/_balances_of.sql
CREATE OR REPLACE FUNCTION budget._balances_of(p_service_name text, p_request jsonb, p_created_at timestamptz)
RETURNS TABLE (budget text, member text, starts_at timestamptz, ends_at timestamptz, slot integer)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        m.budget,
        m.member,
        w.starts_at,
        w.ends_at,
        budget._own_slot(m.slots)
    FROM budget._members_of(p_service_name, p_request) AS m
    INNER JOIN budget.budgets AS b ON m.budget = b.name
    CROSS JOIN LATERAL budget._window_at(b, m.member, p_created_at) AS w
$function$;

REVOKE ALL ON FUNCTION budget._balances_of(text, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._balances_of(text, jsonb, timestamptz) IS
'The balances that a ledger row counts in, and the slot that this session posts to them under.';
-- end functions/_internal/_balances_of.sql

-- begin functions/_internal/_ledger_sum.sql
CREATE OR REPLACE FUNCTION budget._ledger_sum(
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_sum numeric;
BEGIN
    SELECT coalesce(sum(l.cost), 0)
    INTO v_sum
    FROM public.cost_tracking AS l
    WHERE
        l.created_at >= p_starts_at
        AND l.created_at < p_ends_at
        AND isfinite(l.created_at)
        AND (
            p_dimension = '*'
            OR budget._member(p_dimension, l.service_name, budget._requested(l.metadata)) = p_member
        );
    RETURN v_sum;
END
$function$;

REVOKE ALL ON FUNCTION budget._ledger_sum(text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._ledger_sum(text, text, timestamptz, timestamptz) IS
'What a balance must be: the sum of the ledger rows of a member in a window, and among them the lapsed holds that are
not marked.';
-- end functions/_internal/_ledger_sum.sql

-- begin functions/_internal/_booked.sql
-- Who was not there when the balances were computed had no rows, and what came since is posted: a member that comes new
-- into a long window is not looked for in all of it.
CREATE OR REPLACE FUNCTION budget._booked(
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_is_counted boolean,
    p_slot integer
)
RETURNS TABLE (
    total numeric,
    is_open boolean,
    posted_here bigint,
    unreserved numeric,
    room_here numeric,
    room_of_base numeric,
    room_of numeric
)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        CASE
            WHEN o.balance IS NOT NULL THEN o.balance + p.posted
            WHEN p_is_counted THEN p.posted
            ELSE budget._ledger_sum(p_dimension, p_member, p_starts_at, p_ends_at)
        END,
        o.balance IS NOT NULL,
        p.posted_here,
        p.unreserved,
        o.room_here,
        o.room_of_base,
        o.room_of
    FROM (
        SELECT
            sum(b.amount) AS balance,
            sum(b.room) FILTER (WHERE b.slot = p_slot) AS room_here,
            sum(b.room) FILTER (WHERE b.slot = 0) AS room_of_base,
            sum(b.room_of) AS room_of
        FROM budget.balances AS b
        WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at
    ) AS o
    CROSS JOIN (
        SELECT
            coalesce(sum(t.amount), 0) AS posted,
            count(*) FILTER (WHERE t.slot = p_slot) AS posted_here,
            coalesce(sum(t.amount) FILTER (WHERE t.amount > 0), 0) AS unreserved
        FROM budget.postings AS t
        WHERE t.budget = p_budget AND t.member = p_member AND t.starts_at = p_starts_at
    ) AS p
$function$;

REVOKE ALL ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz, boolean, integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz, boolean, integer) IS
'What the ledger rows of a member come to in a window (total), from its balance and the postings that are not folded
into it; of those the number under a slot, and the sum of those that add to it (unreserved). Of an open balance the room of
that slot and of slot 0, and the limit that was spread over the slots (room_of). p_is_counted: all of the window is in
balances and postings.';
-- end functions/_internal/_booked.sql

-- begin functions/_internal/_holds_expiring.sql
-- By the index on it: few holds have lapsed and are not marked, and few are open, where the planner takes a third of
-- all.
CREATE OR REPLACE FUNCTION budget._holds_expiring(
    p_standing budget._standing,
    p_after timestamptz,
    p_until timestamptz
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $function$
BEGIN
    RETURN coalesce(sum(l.cost), 0)
    FROM (
        SELECT l.service_name, l.metadata, l.created_at, l.cost
        FROM public.cost_tracking AS l
        WHERE l.expires_at > p_after AND l.expires_at <= p_until
        OFFSET 0
    ) AS l
    WHERE
        l.created_at >= p_standing.starts_at
        AND l.created_at < p_standing.ends_at
        AND isfinite(l.created_at) -- else it is in no balance
        AND budget._member(p_standing.dimension, l.service_name, budget._requested(l.metadata)) = p_standing.member;
END
$function$;

REVOKE ALL ON FUNCTION budget._holds_expiring(budget._standing, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._holds_expiring(budget._standing, timestamptz, timestamptz) IS
'What the holds that expire after p_after, and by p_until, come to in a balance: up to now those that have lapsed and
are not marked, from now on the open ones.';
-- end functions/_internal/_holds_expiring.sql

-- begin functions/_internal/_open.sql
-- The ledger and its postings are read in one snapshot: a row and its posting are committed together, seen together,
-- and counted once.
CREATE OR REPLACE FUNCTION budget._open(p_standing budget._standing)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    SELECT p_standing.budget, p_standing.member, p_standing.starts_at, p_standing.ends_at, s.slot, s.amount, s.room
    FROM budget.budgets AS b
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN p_standing.ends_at > b.counted_from THEN 0 -- all of it is in the postings
            ELSE budget._ledger_sum(p_standing.dimension, p_standing.member, p_standing.starts_at, p_standing.ends_at) - (
                SELECT coalesce(sum(o.amount), 0)
                FROM budget.postings AS o
                WHERE (o.budget, o.member, o.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
            )
        END AS amount
    ) AS f
    CROSS JOIN LATERAL budget._slots_of(b.slots, f.amount) AS s
    WHERE b.name = p_standing.budget
    ON CONFLICT (budget, member, starts_at, slot) DO NOTHING;
END
$function$;

REVOKE ALL ON FUNCTION budget._open(budget._standing) FROM PUBLIC;
COMMENT ON FUNCTION budget._open(budget._standing) IS
'Makes the balance of a window, with its slots and without its postings, where it is not there yet.';
-- end functions/_internal/_open.sql

-- begin functions/_internal/_take_postings.sql
-- Whoever takes postings passes over those that another is taking, and waits for nobody. They are locked before they
-- are deleted, because DELETE alone would wait.
CREATE OR REPLACE FUNCTION budget._take_postings(p_budget text, p_member text, p_starts_at timestamptz, p_slot integer)
RETURNS numeric
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric;
BEGIN
    WITH taken AS (
        DELETE FROM budget.postings AS o
        WHERE o.ctid = ANY (ARRAY(
            SELECT t.ctid
            FROM budget.postings AS t
            WHERE
                (t.budget, t.member, t.starts_at) = (p_budget, p_member, p_starts_at)
                AND (p_slot IS NULL OR t.slot = p_slot)
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING o.amount
    )

    SELECT sum(k.amount)
    INTO v_amount
    FROM taken AS k;
    RETURN v_amount;
END
$function$;

REVOKE ALL ON FUNCTION budget._take_postings(text, text, timestamptz, integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._take_postings(text, text, timestamptz, integer) IS
'Removes the postings of a balance under one slot, or under all (null), and returns what they add up to; null: there are
none.';
-- end functions/_internal/_take_postings.sql

-- begin functions/_internal/_fold.sql
-- Each session posts under its own slot, and whoever has a slot folds what is under it. A slot never has less room than
-- none: what does not fit in it stays a posting until somebody has the whole balance.
CREATE OR REPLACE FUNCTION budget._fold(p_standing budget._standing)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric;
BEGIN
    -- A balance is opened for what is posted to it, never by a refusal; and before anything is taken: of an old window,
    -- it is opened with all that the ledger has.
    IF NOT EXISTS (
        SELECT
        FROM budget.postings AS o
        WHERE
            (o.budget, o.member, o.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
            AND o.slot = p_standing.slot
    ) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
    ) THEN
        PERFORM budget._open(p_standing);
    END IF;
    v_amount := budget._take_postings(p_standing.budget, p_standing.member, p_standing.starts_at, p_standing.slot);
    IF v_amount IS NULL THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET amount = b.amount + v_amount, room = b.room - v_amount
    WHERE
        (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
        AND b.slot = p_standing.slot
        AND (b.slot = 0 OR b.room >= v_amount);
    IF NOT FOUND THEN
        INSERT INTO budget.postings (budget, member, starts_at, ends_at, slot, amount)
        VALUES (
            p_standing.budget, p_standing.member, p_standing.starts_at, p_standing.ends_at, p_standing.slot, v_amount
        );
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._fold(budget._standing) FROM PUBLIC;
COMMENT ON FUNCTION budget._fold(budget._standing) IS
'Adds the postings under a slot to its balance, which is opened where it is not there yet. The caller has the lock of
the slot.';
-- end functions/_internal/_fold.sql

-- begin functions/_internal/_spread_room.sql
CREATE OR REPLACE FUNCTION budget._spread_room(p_standing budget._standing)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_total numeric;
    v_free numeric;
    v_share numeric;
BEGIN
    PERFORM budget._open(p_standing);
    v_total := coalesce(budget._take_postings(
        p_standing.budget, p_standing.member, p_standing.starts_at, NULL
    ), 0) + sum(b.amount)
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at);
    -- Below nothing, where spend is above the limit or lapsed holds still count: slot 0 has what is missing.
    v_free := p_standing.limit_amount - v_total;
    v_share := trunc(greatest(0, v_free - greatest(0, p_standing.amount)) / p_standing.slots, 12);
    UPDATE budget.balances AS b
    SET
        amount = CASE b.slot WHEN 0 THEN v_total ELSE 0 END,
        room = CASE b.slot
            WHEN 0 THEN least(0, v_free)
            WHEN p_standing.slot THEN greatest(0, v_free) - (p_standing.slots - 1) * v_share
            ELSE v_share
        END,
        room_of = CASE b.slot WHEN 0 THEN p_standing.limit_amount ELSE 0 END
    WHERE (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._spread_room(budget._standing) FROM PUBLIC;
COMMENT ON FUNCTION budget._spread_room(budget._standing) IS
'Folds all that is posted to a balance and gives each slot its part of the room, the slot of this session what is asked
besides. The caller has the lock of the whole balance.';
-- end functions/_internal/_spread_room.sql

-- begin functions/_internal/_merge_postings.sql
CREATE OR REPLACE FUNCTION budget._merge_postings(p_postings budget.postings[])
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_posting budget.postings;
    v_amount numeric;
BEGIN
    FOREACH v_posting IN ARRAY coalesce(p_postings, '{}') LOOP
        v_amount := budget._take_postings(v_posting.budget, v_posting.member, v_posting.starts_at, v_posting.slot);
        IF v_amount <> 0 THEN
            v_posting.amount := v_amount;
            INSERT INTO budget.postings SELECT v_posting.*;
        END IF;
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._merge_postings(budget.postings[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._merge_postings(budget.postings[]) IS
'Of each balance and slot that is named, makes one posting of all that wait there.';
-- end functions/_internal/_merge_postings.sql

-- begin functions/_internal/_reclaim.sql
-- What has lapsed and is not marked is looked at by every decision: so many are not left to the sweeper. The oldest
-- alone is asked for first, which the planner finds by the index whatever it knows of the ledger; the rest is pinned to
-- it.
CREATE OR REPLACE FUNCTION budget._reclaim(p_now timestamptz)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $function$
DECLARE
    c_few CONSTANT integer := 100;
BEGIN
    IF (SELECT min(l.expires_at) FROM public.cost_tracking AS l WHERE l.expires_at <= p_now) IS NOT NULL
        AND c_few < (
            SELECT count(*)
            FROM (
                SELECT FROM public.cost_tracking AS l WHERE l.expires_at <= p_now ORDER BY l.expires_at LIMIT c_few + 1
            ) AS t
        )
    THEN
        PERFORM budget.expire(1000);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._reclaim(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._reclaim(timestamptz) IS
'Marks holds expired when more than a few have lapsed at p_now.';
-- end functions/_internal/_reclaim.sql

-- begin functions/_internal/_standings_by_balances.sql
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
-- end functions/_internal/_standings_by_balances.sql

-- begin functions/_internal/_escalate_thresholds.sql
-- Judged by state, as the day's caps are. Of the rest it is told when they are written next: one statement may write
-- for thousands, and each that is told takes a lock.
CREATE OR REPLACE FUNCTION budget._escalate_thresholds(p_postings budget.postings[], p_now timestamptz)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_most CONSTANT integer := 100;
    v_day date := (budget._day(p_now, (budget._policy_in_force()).timezone)).day;
    v_reached record;
    v_total numeric;
BEGIN
    FOR v_reached IN
        SELECT
            b.name AS budget, p.member, p.starts_at, t.amount, t.severity, l.limit_now, c.total, s.subject,
            ROW(b.name, b.dimension, p.member, p.starts_at, p.ends_at, l.limit_now, c.total, NULL, true, 1, 0, 0)::budget._standing
                AS standing
        FROM unnest(p_postings) AS p
        INNER JOIN budget.budgets AS b ON p.budget = b.name
        CROSS JOIN LATERAL budget._limit_in_force(b.limit_amount, b.extra, b.extra_until, p_now) AS l (limit_now)
        CROSS JOIN LATERAL (
            SELECT u.amount, 'warning' AS severity FROM unnest(b.soft_limits) AS u (amount)
            UNION ALL
            SELECT l.limit_now, 'critical'
        ) AS t
        CROSS JOIN LATERAL budget._booked(
            b.name, b.dimension, p.member, p.starts_at, p.ends_at, p.ends_at > b.counted_from, 0
        ) AS c
        CROSS JOIN LATERAL (SELECT ARRAY[b.name, p.member, trim_scale(t.amount)::text] AS subject) AS s
        WHERE
            b.name <> 'daily'
            AND t.amount <= c.total
            AND NOT EXISTS (
                SELECT
                FROM public.escalations AS e
                WHERE
                    e.id = budget._escalation_id(
                        'budget_threshold', coalesce(budget._iso(p.starts_at), 'ever'), b.name, s.subject, NULL
                    )
            )
        ORDER BY b.name, p.member, p.starts_at, t.amount
        LIMIT c_most
    LOOP
        -- Lapsed holds are looked for only where it may make a difference.
        v_total := v_reached.total - CASE
            WHEN (budget._policy_in_force()).on_expiry = 'release' THEN budget._holds_expiring(v_reached.standing, '-infinity', p_now)
            ELSE 0
        END;
        CONTINUE WHEN v_reached.amount > v_total;
        PERFORM budget._escalate_once(
            'budget_threshold',
            coalesce(budget._iso(v_reached.starts_at), 'ever'),
            v_reached.budget,
            v_reached.subject,
            v_reached.severity,
            format(
                'Budget %s, member %s, has reached %s: settled and held %s, limit %s.',
                v_reached.budget, v_reached.member, v_reached.amount, v_total, v_reached.limit_now
            ),
            jsonb_build_object(
                'day', v_day,
                'starts_at', budget._iso(v_reached.starts_at),
                'budget', v_reached.budget,
                'member', v_reached.member,
                'threshold', v_reached.amount::text,
                'current_total', v_total::text,
                'limit_amount', v_reached.limit_now::text
            ),
            NULL,
            NULL
        );
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_thresholds(budget.postings[], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_thresholds(budget.postings[], timestamptz) IS
'One escalation per threshold and window for each balance that was posted to and is at or above it; at most 100 in a
call.';
-- end functions/_internal/_escalate_thresholds.sql

-- begin functions/_internal/_post.sql
-- A posting waits for nobody: no writer of the ledger is held up by a decision, nor holds one up.
CREATE OR REPLACE FUNCTION budget._post()
RETURNS trigger
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET plan_cache_mode = 'force_generic_plan'
AS $function$
DECLARE
    v_now timestamptz := budget._now();
    v_posted budget.postings[];
    v_any_lapsed boolean := false;
BEGIN
    -- A snapshot older than a budget would not see that there is one to post to (budget._touch).
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM budget.budgets AS b WHERE b.name = 'daily' FOR SHARE;
    END IF;
    -- The tables of old and new rows are there for the statements that have them.
    IF TG_OP = 'INSERT' THEN
        WITH posted AS (
            INSERT INTO budget.postings AS p (budget, member, starts_at, ends_at, slot, amount)
            SELECT b.budget, b.member, b.starts_at, b.ends_at, b.slot, sum(c.cost)
            FROM new_rows AS c
            CROSS JOIN LATERAL budget._balances_of(c.service_name, budget._requested(c.metadata), c.created_at) AS b
            GROUP BY b.budget, b.member, b.starts_at, b.ends_at, b.slot
            HAVING sum(c.cost) <> 0
            RETURNING p
        )

        SELECT array_agg(p.p)
        INTO v_posted
        FROM posted AS p;
    ELSIF TG_OP = 'DELETE' THEN
        WITH posted AS (
            INSERT INTO budget.postings AS p (budget, member, starts_at, ends_at, slot, amount)
            SELECT b.budget, b.member, b.starts_at, b.ends_at, b.slot, -sum(c.cost)
            FROM old_rows AS c
            CROSS JOIN LATERAL budget._balances_of(c.service_name, budget._requested(c.metadata), c.created_at) AS b
            GROUP BY b.budget, b.member, b.starts_at, b.ends_at, b.slot
            HAVING sum(c.cost) <> 0
            RETURNING p
        )

        SELECT array_agg(p.p)
        INTO v_posted
        FROM posted AS p;
    ELSE
        WITH posted AS (
            INSERT INTO budget.postings AS p (budget, member, starts_at, ends_at, slot, amount)
            SELECT b.budget, b.member, b.starts_at, b.ends_at, b.slot, sum(c.cost)
            FROM (
                SELECT n.service_name, n.metadata, n.created_at, n.cost FROM new_rows AS n
                UNION ALL
                SELECT o.service_name, o.metadata, o.created_at, -o.cost FROM old_rows AS o
            ) AS c
            CROSS JOIN LATERAL budget._balances_of(c.service_name, budget._requested(c.metadata), c.created_at) AS b
            GROUP BY b.budget, b.member, b.starts_at, b.ends_at, b.slot
            HAVING sum(c.cost) <> 0
            RETURNING p
        )

        SELECT array_agg(p.p)
        INTO v_posted
        FROM posted AS p;
        -- A hold that had lapsed counted nothing any more: what takes its place is more than there was.
        v_any_lapsed := EXISTS (SELECT FROM old_rows AS o WHERE o.expires_at <= v_now);
    END IF;
    -- Where nobody reserves, nobody folds: one statement in a hundred makes one posting of those that have piled up. An
    -- older snapshot cannot take what has changed since.
    IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM budget._merge_postings(v_posted[1:100]);
    END IF;
    -- The caps of the day are core's.
    IF EXISTS (
        SELECT FROM unnest(v_posted) AS p WHERE p.budget <> 'daily' AND (p.amount > 0 OR v_any_lapsed)
    ) THEN
        PERFORM budget._escalate_thresholds(v_posted, v_now);
    END IF;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._post() FROM PUBLIC;
COMMENT ON FUNCTION budget._post() IS
'Trigger on the ledger, for every writer of it: posts what a statement changed to the balances that it counts in.';
-- end functions/_internal/_post.sql

-- begin functions/_internal/_forget_balances.sql
CREATE OR REPLACE FUNCTION budget._forget_balances()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    -- An older snapshot would leave those behind that came since.
    PERFORM budget._end_write(budget._begin_decision());
    DELETE FROM budget.balances;
    DELETE FROM budget.postings;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._forget_balances() FROM PUBLIC;
COMMENT ON FUNCTION budget._forget_balances() IS
'Trigger on TRUNCATE of the ledger: an empty one has empty windows. Errors: PB001 at any level but READ COMMITTED.';
-- end functions/_internal/_forget_balances.sql

-- begin functions/_internal/_lock_ledger.sql
CREATE OR REPLACE FUNCTION budget._lock_ledger()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE;
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION 'the ledger is busy: no lock within %', current_setting('lock_timeout')
            USING ERRCODE = '55P03',
            DETAIL = 'A balance is computed while nobody writes the ledger public.cost_tracking.',
            HINT = 'Nothing was changed; try again. pg_blocking_pids() names the session that holds the lock.';
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_ledger() FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_ledger() IS
'Keeps writers of the ledger out until the end of the transaction. Errors: 55P03.';
-- end functions/_internal/_lock_ledger.sql

-- begin functions/_internal/_touch.sql
CREATE OR REPLACE FUNCTION budget._touch()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    UPDATE budget.budgets AS b SET slots = b.slots WHERE b.name = 'daily';
END
$function$;

REVOKE ALL ON FUNCTION budget._touch() FROM PUBLIC;
COMMENT ON FUNCTION budget._touch() IS
'After a change of what is posted where: a writer whose snapshot is older meets it here (budget._post), and repeats.';
-- end functions/_internal/_touch.sql

-- begin functions/_internal/_rebuild.sql
CREATE OR REPLACE FUNCTION budget._rebuild(p_budget text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_now timestamptz := budget._now();
    v_zone text := (budget._policy_in_force()).timezone;
BEGIN
    DELETE FROM budget.balances AS b WHERE b.budget = p_budget;
    DELETE FROM budget.postings AS o WHERE o.budget = p_budget;
    WITH counted AS (
        SELECT b.slots, m.member, w.starts_at, w.ends_at, sum(l.cost) AS amount
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._window(b.period, v_now, coalesce(b.timezone, v_zone)) AS n
        INNER JOIN public.cost_tracking AS l ON l.created_at >= n.starts_at
        CROSS JOIN LATERAL (
            SELECT n.starts_at, n.ends_at
            WHERE l.created_at < n.ends_at
            UNION ALL
            SELECT p.starts_at, p.ends_at
            FROM budget._window(b.period, l.created_at, coalesce(b.timezone, v_zone)) AS p
            WHERE l.created_at >= n.ends_at
        ) AS w
        CROSS JOIN LATERAL budget._member(b.dimension, l.service_name, budget._requested(l.metadata)) AS m (member)
        WHERE
            b.name = p_budget
            AND b.is_active
            AND isfinite(l.created_at)
            AND w.starts_at IS NOT NULL
            AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL))
        GROUP BY b.slots, m.member, w.starts_at, w.ends_at
    )

    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    SELECT p_budget, c.member, c.starts_at, c.ends_at, s.slot, s.amount, s.room
    FROM counted AS c
    CROSS JOIN LATERAL budget._slots_of(c.slots, c.amount) AS s;
    UPDATE budget.budgets AS b SET counted_from = v_now WHERE b.name = p_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget._rebuild(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._rebuild(text) IS
'Computes a budget''s balances of the window that runs now, and of later ones, from the ledger. The caller keeps
the ledger''s writers out.';
-- end functions/_internal/_rebuild.sql

-- begin functions/_internal/_rezone.sql
-- Days, weeks and months that follow the zone of the limits have other bounds from here on, and what was posted under
-- one zone is missing from the windows of another. Whoever writes the ledger waits: its postings are in one zone.
CREATE OR REPLACE FUNCTION budget._rezone()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_old text := CASE WHEN TG_OP <> 'INSERT' AND OLD.key = 'budget_limits' THEN OLD.value::text END;
    v_new text := CASE WHEN TG_OP <> 'DELETE' AND NEW.key = 'budget_limits' THEN NEW.value::text END;
    v_lock_timeout text;
BEGIN
    IF (budget._parse_policy(v_old)).timezone = (budget._parse_policy(v_new)).timezone THEN
        RETURN NULL;
    END IF;
    v_lock_timeout := budget._begin_decision();
    PERFORM budget._lock_ledger();
    PERFORM budget._touch();
    PERFORM budget._rebuild(b.name)
    FROM budget.budgets AS b
    WHERE b.timezone IS NULL AND b.period IN ('day', 'week', 'month');
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._rezone() FROM PUBLIC;
COMMENT ON FUNCTION budget._rezone() IS
'Trigger on system_config: when the zone of the limits changes, the balances of its days, weeks and months are computed
anew. Locks then: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction. Errors: PB001 at any level but READ
COMMITTED, where the ledger would be summed as it was; 55P03.';
-- end functions/_internal/_rezone.sql

-- begin functions/_internal/_all_standings.sql
CREATE OR REPLACE FUNCTION budget._all_standings()
RETURNS TABLE (
    name text,
    dimension text,
    member text,
    period text,
    limit_amount numeric,
    spent numeric,
    held numeric,
    remaining numeric,
    resets_at timestamptz,
    enforcement text,
    is_active boolean,
    raised_by numeric,
    raised_until timestamptz
)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_policy budget._policy := budget._policy_in_force();
    v_now timestamptz := budget._now();
BEGIN
    RETURN QUERY
    WITH windows AS MATERIALIZED (
        SELECT
            b.*,
            w.starts_at,
            w.ends_at,
            CASE b.name
                WHEN 'daily' THEN v_policy.emergency_kill
                ELSE budget._limit_in_force(b.limit_amount, b.extra, b.extra_until, v_now)
            END AS limit_now,
            v_now < b.extra_until AND b.extra > 0 AS is_raised
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._window(b.period, v_now, coalesce(b.timezone, v_policy.timezone)) AS w
    ),

    open AS MATERIALIZED (
        SELECT l.service_name, budget._requested(l.metadata) AS request, l.created_at, l.expires_at, l.cost
        FROM public.cost_tracking AS l
        WHERE l.expires_at IS NOT NULL AND isfinite(l.created_at)
    ),

    -- Once for a budget, not once for each of its members: there may be thousands of these.
    holds AS MATERIALIZED (
        SELECT
            h.name,
            h.member,
            coalesce(sum(h.cost) FILTER (WHERE h.expires_at > v_now), 0) AS held,
            coalesce(sum(h.cost) FILTER (WHERE h.expires_at <= v_now AND v_policy.on_expiry = 'release'), 0) AS lapsed
        FROM (
            SELECT
                w.name,
                o.expires_at,
                o.cost,
                budget._member(w.dimension, o.service_name, o.request) AS member
            FROM windows AS w
            INNER JOIN open AS o ON o.created_at >= w.starts_at AND o.created_at < w.ends_at
            WHERE w.is_active
        ) AS h
        GROUP BY h.name, h.member
    ),

    counted AS (
        SELECT c.budget, c.member, c.starts_at, sum(c.amount) AS amount, bool_or(c.is_balance) AS is_open
        FROM (
            SELECT o.budget, o.member, o.starts_at, o.amount, true AS is_balance FROM budget.balances AS o
            UNION ALL
            SELECT o.budget, o.member, o.starts_at, o.amount, false FROM budget.postings AS o
        ) AS c
        GROUP BY c.budget, c.member, c.starts_at
    )

    SELECT
        w.name,
        w.dimension,
        m.member,
        w.period,
        w.limit_now,
        t.total - t.held,
        t.held,
        w.limit_now - t.total,
        nullif(w.ends_at, 'infinity'),
        w.enforcement,
        w.is_active,
        CASE WHEN w.is_raised THEN w.extra END,
        CASE WHEN w.is_raised THEN w.extra_until END
    FROM windows AS w
    LEFT JOIN counted AS c ON w.name = c.budget AND w.starts_at = c.starts_at
    CROSS JOIN LATERAL (SELECT coalesce(c.member, w.member) AS member) AS m
    LEFT JOIN holds AS h ON w.name = h.name AND m.member = h.member
    CROSS JOIN LATERAL (
        SELECT
            coalesce(h.held, 0) AS held,
            CASE
                WHEN m.member IS NULL OR NOT w.is_active THEN 0
                WHEN c.is_open OR w.ends_at > w.counted_from THEN coalesce(c.amount, 0)
                ELSE budget._ledger_sum(w.dimension, m.member, w.starts_at, w.ends_at)
            END - coalesce(h.lapsed, 0) AS total
    ) AS t
    ORDER BY w.name, m.member;
END
$function$;

REVOKE ALL ON FUNCTION budget._all_standings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._all_standings() TO budget_reader;
COMMENT ON FUNCTION budget._all_standings() IS 'What the view budget.budget_status shows.';
-- end functions/_internal/_all_standings.sql

-- begin functions/_internal/_drift.sql
CREATE OR REPLACE FUNCTION budget._drift()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_policy budget._policy := budget._policy_in_force();
    v_now timestamptz := budget._now();
BEGIN
    RETURN QUERY
    WITH windows AS MATERIALIZED (
        SELECT b.name, b.dimension, b.member, w.starts_at, w.ends_at, w.ends_at > b.counted_from AS is_counted
        FROM budget.budgets AS b
        INNER JOIN (
            SELECT o.budget, o.starts_at, o.ends_at FROM budget.balances AS o
            UNION
            SELECT o.budget, o.starts_at, o.ends_at FROM budget.postings AS o
            UNION
            SELECT c.name, n.starts_at, n.ends_at
            FROM budget.budgets AS c
            CROSS JOIN LATERAL budget._window(c.period, v_now, coalesce(c.timezone, v_policy.timezone)) AS n
            WHERE c.is_active
        ) AS w ON b.name = w.budget
    ),

    spent AS (
        SELECT w.name, m.member, w.starts_at, w.is_counted, sum(l.cost) AS amount
        FROM windows AS w
        INNER JOIN public.cost_tracking AS l ON l.created_at >= w.starts_at AND l.created_at < w.ends_at
        CROSS JOIN LATERAL budget._member(w.dimension, l.service_name, budget._requested(l.metadata)) AS m (member)
        WHERE isfinite(l.created_at) AND (w.member = m.member OR (w.member IS NULL AND m.member IS NOT NULL))
        GROUP BY w.name, m.member, w.starts_at, w.is_counted
    ),

    counted AS (
        SELECT
            w.name, o.member, w.starts_at, w.is_counted, bool_or(o.is_balance) AS is_open,
            sum(o.amount) AS amount, sum(o.misspread) AS misspread
        FROM windows AS w
        INNER JOIN (
            SELECT e.budget, e.member, e.starts_at, true AS is_balance, e.amount, e.amount + e.room - e.room_of AS misspread
            FROM budget.balances AS e
            UNION ALL
            SELECT e.budget, e.member, e.starts_at, false, e.amount, 0 FROM budget.postings AS e
        ) AS o ON w.name = o.budget AND w.starts_at = o.starts_at
        GROUP BY w.name, o.member, w.starts_at, w.is_counted
    )

    SELECT x.name, x.member, x.starts_at, coalesce(c.amount, 0), coalesce(s.amount, 0)
    FROM counted AS c
    FULL JOIN spent AS s USING (name, member, starts_at) AS x
    WHERE
        (c.is_open OR coalesce(c.is_counted, s.is_counted))
        AND (coalesce(c.amount, 0) <> coalesce(s.amount, 0) OR c.misspread <> 0)
    ORDER BY x.name, x.member, x.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
COMMENT ON FUNCTION budget._drift() IS
'The balances that, with their postings, are not the sum of their ledger rows, or whose slots have not the room of their
limit. None when healthy.';
-- end functions/_internal/_drift.sql

-- begin functions/_internal/_element_error.sql
-- The error of one element is the error of the batch: it keeps its code, message and hint, and says whose it is.
CREATE OR REPLACE FUNCTION budget._element_error(
    p_place text,
    p_sqlstate text,
    p_message text,
    p_detail text,
    p_hint text
)
RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION '%', p_message
        USING ERRCODE = CASE
            -- What is no number, no id or no interval is a bad argument, whatever the type calls it.
            WHEN p_sqlstate LIKE '22%' AND p_sqlstate <> '22003' THEN '22023'
            ELSE p_sqlstate
        END,
        DETAIL = concat_ws(': ', p_place, nullif(p_detail, '')),
        HINT = coalesce(nullif(p_hint, ''), 'Nothing of the batch was done. Mend this element, or leave it out.');
END
$function$;

REVOKE ALL ON FUNCTION budget._element_error(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._element_error(text, text, text, text, text) IS
'Raises an error that an element of a batch met, with its place in DETAIL.';
-- end functions/_internal/_element_error.sql

-- begin functions/_internal/_batch.sql
CREATE OR REPLACE FUNCTION budget._batch(p_elements jsonb, p_argument text, p_keys text[])
RETURNS SETOF jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_most CONSTANT integer := 10000;
    v_fault text := CASE
        WHEN jsonb_typeof(p_elements) IS DISTINCT FROM 'array'
            THEN format('It is %s.', coalesce('of type ' || jsonb_typeof(p_elements), 'null'))
        WHEN jsonb_array_length(p_elements) > c_most
            THEN format('It has %s elements.', jsonb_array_length(p_elements))
    END;
BEGIN
    IF v_fault IS NOT NULL THEN
        RAISE EXCEPTION '% must be a JSON array of at most % objects', p_argument, c_most
            USING ERRCODE = '22023', DETAIL = v_fault, HINT = 'Nothing was done. Send a larger batch in parts.';
    END IF;
    -- An argument that is misspelt must be seen, and not be taken for one that was left out.
    SELECT format(
        '%s -> %s: %s', p_argument, e.n - 1,
        CASE jsonb_typeof(e.element)
            WHEN 'object' THEN 'unknown: ' || (
                SELECT string_agg(k.key, ', ') FROM jsonb_object_keys(e.element) AS k (key) WHERE k.key <> ALL (p_keys)
            )
            ELSE 'it is of type ' || jsonb_typeof(e.element)
        END
    )
    INTO v_fault
    FROM jsonb_array_elements(p_elements) WITH ORDINALITY AS e (element, n)
    WHERE CASE jsonb_typeof(e.element) WHEN 'object' THEN e.element - p_keys <> '{}' ELSE true END
    ORDER BY e.n
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% has an element that cannot be read', p_argument
            USING ERRCODE = '22023',
            DETAIL = v_fault,
            HINT = format('Nothing was done. An element is an object with the keys %s.', array_to_string(p_keys, ', '));
    END IF;
    RETURN QUERY SELECT e.element FROM jsonb_array_elements(p_elements) AS e (element);
END
$function$;

REVOKE ALL ON FUNCTION budget._batch(jsonb, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._batch(jsonb, text, text[]) IS
'The elements of a batch in their order: objects of which no key is unknown. Errors: 22023.';
-- end functions/_internal/_batch.sql

-- begin functions/_internal/_elements.sql
-- A request has the arguments of budget.reserve, a settlement those of budget.settle: no service, and an id that is
-- there.
CREATE OR REPLACE FUNCTION budget._elements(
    p_elements jsonb,
    p_argument text,
    p_keys text[],
    OUT ids uuid[],
    OUT amounts numeric[],
    OUT requests budget._request[],
    OUT ttls interval[]
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_cost CONSTANT text := p_keys[1];
    c_is_request CONSTANT boolean := 'service_name' = ANY (p_keys);
    v_element jsonb;
    v_n integer := 0;
    v_detail text;
    v_hint text;
BEGIN
    ids := '{}';
    requests := '{}';
    FOR v_element IN SELECT b.* FROM budget._batch(p_elements, p_argument, p_keys) AS b LOOP
        v_n := v_n + 1;
        IF jsonb_typeof(v_element -> 'service_name') NOT IN ('string', 'null') THEN
            RAISE EXCEPTION 'service_name must be text'
                USING ERRCODE = '22023', DETAIL = format('It is of type %s.', jsonb_typeof(v_element -> 'service_name'));
        END IF;
        amounts[v_n] := budget._money((v_element ->> c_cost)::numeric, c_cost);
        requests[v_n] := ROW(
            CASE WHEN c_is_request THEN budget._service_name(v_element ->> 'service_name') END,
            budget._metadata(nullif(v_element -> 'metadata', 'null')),
            NULL,
            amounts[v_n]
        )::budget._request;
        ids[v_n] := coalesce((v_element ->> 'reservation_id')::uuid, CASE WHEN c_is_request THEN gen_random_uuid() END);
        ttls[v_n] := CASE
            WHEN v_element ->> 'ttl' IS NOT NULL THEN budget._ttl((v_element ->> 'ttl')::interval)
        END;
    END LOOP;
EXCEPTION
    WHEN data_exception THEN
        GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
        IF v_n = 0 THEN
            RAISE;
        END IF;
        PERFORM budget._element_error(format('%s -> %s', p_argument, v_n - 1), SQLSTATE, SQLERRM, v_detail, v_hint);
END
$function$;

REVOKE ALL ON FUNCTION budget._elements(jsonb, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._elements(jsonb, text, text[]) IS
'The requests or settlements of a batch, their amount under the first of p_keys, checked as the function for one checks
its arguments. A request has an id. Errors: 22023, 22003, with the place of the element in the detail.';
-- end functions/_internal/_elements.sql

-- begin functions/_internal/_write_holds.sql
-- Two batches that have ids in common, in any order, meet at the first of them.
CREATE OR REPLACE FUNCTION budget._write_holds(
    p_decision budget._decision,
    p_requests budget._request[],
    p_ids uuid[],
    p_verdicts budget.verdict[]
)
RETURNS budget.verdict[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_written uuid[];
    v_element record;
    v_hold public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    WITH written AS (
        INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at, expires_at)
        SELECT
            r.id, r.service_name, r.amount, budget._hold_metadata(r.amount, r.metadata, p_decision.decided_at),
            p_decision.decided_at, v.expires_at
        FROM unnest(p_requests, p_ids) WITH ORDINALITY AS r (service_name, metadata, created_at, amount, id, n)
        INNER JOIN unnest(p_verdicts) WITH ORDINALITY AS v (
            can_proceed, current_total, reservation_id, reason, budget, member, limit_amount, remaining, resets_at,
            retry_at, expires_at, n
        ) USING (n)
        WHERE v.reason = 'granted'
        ORDER BY r.id
        ON CONFLICT (id) DO NOTHING
        RETURNING l.id, l.cost, l.metadata, l.created_at
    )

    SELECT array_agg(w.id)
    INTO v_written
    FROM written AS w
    WHERE w.created_at = p_decision.decided_at AND w.cost = (w.metadata ->> 'requested_cost')::numeric;

    FOR v_element IN
        SELECT r.n, r.id, r.service_name, r.metadata, r.amount, v.expires_at
        FROM unnest(p_requests, p_ids) WITH ORDINALITY AS r (service_name, metadata, created_at, amount, id, n)
        INNER JOIN unnest(p_verdicts) WITH ORDINALITY AS v (
            can_proceed, current_total, reservation_id, reason, budget, member, limit_amount, remaining, resets_at,
            retry_at, expires_at, n
        ) USING (n)
        WHERE v.reason = 'granted' AND NOT EXISTS (SELECT FROM unnest(v_written) AS w (id) WHERE w.id = r.id)
    LOOP
        v_hold.id := v_element.id;
        v_hold.service_name := v_element.service_name;
        v_hold.cost := v_element.amount;
        v_hold.metadata := budget._hold_metadata(v_element.amount, v_element.metadata, p_decision.decided_at);
        v_hold.created_at := p_decision.decided_at;
        v_hold.expires_at := v_element.expires_at;
        SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = v_element.id;
        IF v_row.created_at = v_hold.created_at OR NOT budget._is_taken(v_element.id) THEN
            PERFORM budget._require_kept(v_hold, v_row);
        END IF;
        -- The id was taken between our look and our insert, by a writer that the locks do not keep out.
        p_verdicts[v_element.n] := budget._replay(v_element.amount, v_element.service_name, v_element.metadata, v_row);
    END LOOP;
    RETURN p_verdicts;
END
$function$;

REVOKE ALL ON FUNCTION budget._write_holds(budget._decision, budget._request[], uuid[], budget.verdict[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._write_holds(budget._decision, budget._request[], uuid[], budget.verdict[]) IS
'Writes the holds of those requests that are granted, and returns the verdicts: that of an id which somebody else took
meanwhile is that of its repeat. Errors: PB003; PB006.';
-- end functions/_internal/_write_holds.sql

-- begin functions/_internal/_lock_holds.sql
-- In the order of their ids: two batches of the same holds wait for each other, and never both ways.
CREATE OR REPLACE FUNCTION budget._lock_holds(p_ids uuid[], p_actuals numeric[])
RETURNS integer[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row public.cost_tracking;
    v_first integer[];
    v_open integer[] := '{}';
    v_n integer := 1;
    v_detail text;
    v_hint text;
BEGIN
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    PERFORM FROM public.cost_tracking AS l WHERE l.id = ANY (p_ids) ORDER BY l.id FOR NO KEY UPDATE;
    SELECT array_agg(f.first ORDER BY f.n)
    INTO v_first
    FROM (
        SELECT s.n, min(s.n) OVER (PARTITION BY s.id) AS first
        FROM unnest(p_ids) WITH ORDINALITY AS s (id, n)
    ) AS f;
    BEGIN
        WHILE v_n <= cardinality(p_ids) LOOP
            v_row := budget._lock_hold(p_ids[v_n]);
            IF v_first[v_n] < v_n THEN
                v_row.cost := p_actuals[v_first[v_n]];
                v_row.metadata := v_row.metadata || '{"type": "actual"}'; -- what the first makes of it
            END IF;
            IF NOT budget._is_settled(v_row, p_actuals[v_n]) THEN
                v_open := v_open || v_n;
            END IF;
            v_n := v_n + 1;
        END LOOP;
    EXCEPTION
        WHEN SQLSTATE 'PB002' OR SQLSTATE 'PB004' THEN
            GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
            PERFORM budget._element_error(format('p_settlements -> %s', v_n - 1), SQLSTATE, SQLERRM, v_detail, v_hint);
    END;
    RETURN v_open;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_holds(uuid[], numeric[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_holds(uuid[], numeric[]) IS
'Locks the holds of a batch and returns the numbers of those settlements that are not booked yet, repeats apart. Errors:
PB002, PB004, with the place of the settlement in the detail; 55P03 lock wait.';
-- end functions/_internal/_lock_holds.sql

-- begin functions/_internal/_totals_after.sql
-- As budget._total_after for one: only a spend of more than its hold counts is asked what it makes of its day.
CREATE OR REPLACE FUNCTION budget._totals_after(
    p_policy budget._policy,
    p_ids uuid[],
    p_actuals numeric[],
    p_open integer[],
    p_now timestamptz
)
RETURNS TABLE (n integer, total numeric)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_policy.error IS NOT NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH spends AS (
        SELECT o.n, w.starts_at, l.created_at, p_actuals[o.n] - budget._counted(p_policy, p_now, l) AS more
        FROM unnest(p_open) AS o (n)
        INNER JOIN public.cost_tracking AS l ON p_ids[o.n] = l.id
        CROSS JOIN LATERAL budget._day(l.created_at, p_policy.timezone) AS w
    ),

    days AS MATERIALIZED (
        SELECT s.starts_at, budget._total_after('', '{}', min(s.created_at), sum(s.more)) AS total
        FROM spends AS s
        GROUP BY s.starts_at
        HAVING bool_or(s.more > 0)
    )

    SELECT s.n, d.total
    FROM spends AS s
    INNER JOIN days AS d ON s.starts_at = d.starts_at
    WHERE s.more > 0;
END
$function$;

REVOKE ALL ON FUNCTION budget._totals_after(budget._policy, uuid[], numeric[], integer[], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._totals_after(budget._policy, uuid[], numeric[], integer[], timestamptz) IS
'The total of its day once the whole batch is booked, for each settlement of p_open that is more than its hold counts.';
-- end functions/_internal/_totals_after.sql

-- begin functions/set_budget.sql
CREATE OR REPLACE FUNCTION budget.set_budget(
    p_name text,
    p_limit numeric,
    p_dimension text DEFAULT '*',
    p_member text DEFAULT NULL,
    p_period text DEFAULT 'day',
    p_timezone text DEFAULT NULL,
    p_soft_limits numeric[] DEFAULT '{}',
    p_enforcement text DEFAULT 'block',
    p_active boolean DEFAULT true,
    p_slots integer DEFAULT 1,
    p_extra numeric DEFAULT NULL,
    p_until timestamptz DEFAULT NULL
)
RETURNS SETOF budget.budgets
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_limit numeric := CASE WHEN p_name IS DISTINCT FROM 'daily' THEN budget._money(p_limit, 'p_limit') END;
    v_extra numeric := CASE WHEN p_extra IS NOT NULL THEN budget._money(p_extra, 'p_extra') END;
    v_lock_timeout text;
    v_old jsonb;
    v_budget budget.budgets;
    v_fault text := CASE
        WHEN p_name IS NULL OR p_name = '' OR char_length(p_name) > 100 THEN 'p_name must have 1 to 100 characters'
        WHEN p_name = 'daily' AND (
            num_nonnulls(p_limit, p_member, p_timezone, p_extra, p_until) > 0
            OR (p_dimension, p_period, p_soft_limits, p_enforcement, p_active)
                IS DISTINCT FROM ('*', 'day', '{}'::numeric[], 'block', true)
        )
            THEN 'of the budget daily this sets the slots alone (p_limit is null); budget.set_limits sets its limit'
        WHEN p_dimension IS NULL OR p_dimension = '' OR char_length(p_dimension) > 100
            THEN 'p_dimension must be *, service or a key of the metadata'
        WHEN char_length(p_member) NOT BETWEEN 1 AND 200 THEN 'p_member must have 1 to 200 characters'
        WHEN p_dimension = '*' AND p_member IS NOT NULL THEN 'the dimension * has no members'
        WHEN p_period IS NULL OR p_period NOT IN ('minute', 'hour', 'day', 'week', 'month', 'total')
            THEN 'p_period must be minute, hour, day, week, month or total'
        WHEN p_enforcement IS NULL OR p_enforcement NOT IN ('block', 'warn') THEN 'p_enforcement must be block or warn'
        WHEN p_active IS NULL THEN 'p_active must be true or false'
        WHEN p_slots IS NULL OR p_slots NOT BETWEEN 1 AND 64 THEN 'p_slots must be between 1 and 64'
        WHEN (p_extra IS NULL) <> (p_until IS NULL) THEN 'a temporary raise has both p_extra and p_until'
        WHEN NOT isfinite(p_until) THEN 'p_until must be an instant: a raise that never ends is a limit'
        WHEN p_timezone IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = p_timezone)
            THEN format('the server knows no time zone named %s', p_timezone)
    END;
BEGIN
    IF v_fault IS NOT NULL THEN
        RAISE EXCEPTION 'this budget cannot be set: %', v_fault
            USING ERRCODE = '22023',
            DETAIL = format('Budget %s.', coalesce(p_name, 'null')),
            HINT = 'Nothing was changed. budget.set_budget tells its arguments in its comment.';
    END IF;
    PERFORM budget._money(s.amount, 'p_soft_limits') FROM unnest(p_soft_limits) AS s (amount);

    v_lock_timeout := budget._begin_decision();
    PERFORM budget._lock_ledger();
    PERFORM budget._require_policy(budget._policy_in_force()); -- nobody changes the zone from here on
    SELECT to_jsonb(b) INTO v_old FROM budget.budgets AS b WHERE b.name = p_name;
    INSERT INTO budget.budgets AS b (
        name, dimension, member, period, limit_amount, timezone, soft_limits, enforcement, is_active, slots, extra,
        extra_until
    )
    VALUES (
        p_name,
        p_dimension,
        CASE WHEN p_dimension = '*' THEN '*' ELSE p_member END,
        p_period,
        v_limit,
        CASE WHEN p_timezone IS NOT NULL THEN budget._zone(p_timezone) END,
        coalesce(p_soft_limits, '{}'),
        p_enforcement,
        p_active,
        p_slots,
        v_extra,
        p_until
    )
    ON CONFLICT (name) DO UPDATE SET
        dimension = excluded.dimension,
        member = excluded.member,
        period = excluded.period,
        limit_amount = excluded.limit_amount,
        timezone = excluded.timezone,
        soft_limits = excluded.soft_limits,
        enforcement = excluded.enforcement,
        is_active = excluded.is_active,
        slots = excluded.slots,
        extra = excluded.extra,
        extra_until = excluded.extra_until;
    PERFORM budget._touch();
    PERFORM budget._rebuild(p_name);
    SELECT b.* INTO v_budget FROM budget.budgets AS b WHERE b.name = p_name;
    PERFORM budget._note_change(
        'budget_changed', format('Budget %s was set.', p_name), v_old::text, to_jsonb(v_budget)::text
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT v_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamptz
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamptz
) TO budget_admin;
COMMENT ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamptz
) IS
'Creates a budget or replaces it as a whole. One row: the budget.

p_name         1 to 100 characters; daily is core''s own: p_slots alone can be set, with p_limit null
p_limit        what settled spend and open holds of a window may come to by reserving, in the currency of the limits
p_dimension    whom it limits: * everybody together, service, or a top-level key of the metadata such as team
p_member       the one service, team, ... it limits; NULL: each of them has this limit for itself
p_period       minute, hour, day, week (from Monday), month or total
p_timezone     of days, weeks and months, a name of pg_timezone_names; NULL: that of the limits
p_soft_limits  amounts at which it escalates
p_enforcement  block refuses what does not fit; warn only escalates
p_active       an inactive budget refuses nothing and counts nothing
p_slots        1 to 64: over how many rows its room is spread, for a budget that many sessions reserve from at once;
               1 is exact to the row, more make the verdict''s current_total a committed reading
p_extra        a temporary raise of the limit, until p_until; it ends by itself
p_until        when the raise ends; one that is past raises nothing

The balance of the window that runs is computed from the ledger. The old and the new budget are kept in an escalation
of severity info.
Errors: 22023, 22003 bad argument; PB001 not READ COMMITTED; PB005 broken configuration; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: all its writers wait while the sum is taken.';
-- end functions/set_budget.sql

-- begin functions/drop_budget.sql
CREATE OR REPLACE FUNCTION budget.drop_budget(p_name text)
RETURNS SETOF budget.budgets
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_decision();
    v_budget budget.budgets;
BEGIN
    PERFORM budget._lock_ledger();
    DELETE FROM budget.budgets AS b WHERE b.name = p_name AND b.name <> 'daily' RETURNING b.* INTO v_budget;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no budget named % to drop', coalesce(p_name, 'null')
            USING ERRCODE = '22023',
            DETAIL = 'budget.budgets has no such row, or it is the budget daily, which always is.',
            HINT = 'SELECT name FROM budget.budget_status lists them.';
    END IF;
    DELETE FROM budget.postings AS o WHERE o.budget = p_name;
    PERFORM budget._touch();
    PERFORM budget._note_change(
        'budget_dropped', format('Budget %s was dropped.', p_name), to_jsonb(v_budget)::text, NULL
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT v_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget.drop_budget(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.drop_budget(text) TO budget_admin;
COMMENT ON FUNCTION budget.drop_budget(text) IS
'Removes a budget and its balances; no ledger row is touched. One row: what it was.

p_name  any budget but daily

Errors: 22023 no such budget; PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction.';
-- end functions/drop_budget.sql

-- begin functions/reconcile.sql
CREATE OR REPLACE FUNCTION budget.reconcile()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_decision();
    v_policy budget._policy;
BEGIN
    PERFORM budget._lock_ledger();
    v_policy := budget._policy_in_force(); -- nobody changes the zone from here on
    FOR budget, member, starts_at, balance, ledger IN SELECT d.* FROM budget._drift() AS d LOOP
        DELETE FROM budget.balances AS o
        WHERE o.budget = reconcile.budget AND o.member = reconcile.member AND o.starts_at = reconcile.starts_at;
        DELETE FROM budget.postings AS o
        WHERE o.budget = reconcile.budget AND o.member = reconcile.member AND o.starts_at = reconcile.starts_at;
        INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
        SELECT b.name, reconcile.member, reconcile.starts_at, coalesce(w.ends_at, 'infinity'), s.slot, s.amount, s.room
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._window(b.period, reconcile.starts_at, coalesce(b.timezone, v_policy.timezone)) AS w
        CROSS JOIN LATERAL budget._slots_of(b.slots, reconcile.ledger) AS s
        WHERE b.name = reconcile.budget;
        starts_at := nullif(reconcile.starts_at, '-infinity'); -- no client has a value for it
        RETURN NEXT;
    END LOOP;
    PERFORM budget._end_write(v_lock_timeout);
END
$function$;

REVOKE ALL ON FUNCTION budget.reconcile() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.reconcile() TO budget_admin;
COMMENT ON FUNCTION budget.reconcile() IS
'Opens each balance anew that is not the sum of its ledger rows. A row for each of them, starts_at NULL for a
total: no rows when healthy. It is needed only after someone has switched triggers off.

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: all its writers wait meanwhile.';
-- end functions/reconcile.sql

-- begin functions/prune.sql
CREATE OR REPLACE FUNCTION budget.prune(p_before timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_decision();
    v_before timestamptz := least(p_before, budget._now());
    v_pruned bigint;
BEGIN
    PERFORM budget._lock_ledger();
    DELETE FROM budget.postings AS o WHERE o.ends_at <= v_before;
    -- Where nobody reserves, nobody folds.
    PERFORM budget._open(
        ROW(b.name, b.dimension, o.member, o.starts_at, o.ends_at, NULL, NULL, NULL, NULL, b.slots, 0, 0)::budget._standing
    )
    FROM budget.budgets AS b
    INNER JOIN (
        SELECT DISTINCT p.budget, p.member, p.starts_at, p.ends_at FROM budget.postings AS p
    ) AS o ON b.name = o.budget
    LEFT JOIN budget.balances AS k ON o.budget = k.budget AND o.member = k.member AND o.starts_at = k.starts_at AND k.slot = 0
    WHERE k.budget IS NULL;
    WITH taken AS (
        DELETE FROM budget.postings AS o
        RETURNING o.budget, o.member, o.starts_at, o.amount
    )

    UPDATE budget.balances AS b
    SET amount = b.amount + t.amount, room = b.room - t.amount
    FROM (
        SELECT k.budget, k.member, k.starts_at, sum(k.amount) AS amount FROM taken AS k GROUP BY k.budget, k.member, k.starts_at
    ) AS t
    WHERE b.budget = t.budget AND b.member = t.member AND b.starts_at = t.starts_at AND b.slot = 0;
    -- A balance that comes to nothing is made again by the first posting: what callers can make up does not stay.
    WITH empty AS (
        SELECT b.budget, b.member, b.starts_at
        FROM budget.balances AS b
        GROUP BY b.budget, b.member, b.starts_at
        HAVING sum(b.amount) = 0 OR min(b.ends_at) <= v_before
    ),

    pruned AS (
        DELETE FROM budget.balances AS b
        USING empty AS e
        WHERE b.budget = e.budget AND b.member = e.member AND b.starts_at = e.starts_at
        RETURNING b.slot
    )

    SELECT count(*) INTO v_pruned FROM pruned AS p WHERE p.slot = 0;
    UPDATE budget.budgets AS b SET counted_from = v_before WHERE b.counted_from < v_before;
    v_lock_timeout := budget._end_write(v_lock_timeout);
    RETURN v_pruned;
END
$function$;

REVOKE ALL ON FUNCTION budget.prune(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.prune(timestamptz) TO budget_admin;
COMMENT ON FUNCTION budget.prune(timestamptz) IS
'Removes the balances of windows that have ended by p_before, and those that come to nothing; returns how many. No
ledger row is touched: who asks for such a window again, as an extend of an old hold does, opens it from the ledger.
Folds in what was posted to the others, for budgets that are written to and that nobody reserves from.

p_before  an instant; NULL and any later one: now

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: its writers wait for the short while.';
-- end functions/prune.sql

-- begin functions/reserve_many.sql
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
-- end functions/reserve_many.sql

-- begin functions/settle_many.sql
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
    v_policy budget._policy := budget._policy_in_force();
    v_booked record;
    v_count integer := 0;
    v_asked_row public.cost_tracking;
BEGIN
    FOR v_booked IN
        UPDATE public.cost_tracking AS l
        SET cost = s.amount, metadata = l.metadata || budget._settlement(v_policy, t.total, s.metadata)
        FROM unnest(v_asked.ids, v_asked.requests) WITH ORDINALITY AS s (id, service_name, metadata, created_at, amount, n)
        LEFT JOIN budget._totals_after(v_policy, v_asked.ids, v_asked.amounts, v_open, v_now) AS t ON s.n = t.n
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
        PERFORM budget._escalate_spend(v_policy, v_booked.total, v_booked.hold);
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
-- end functions/settle_many.sql

-- begin views/budget_status.sql
CREATE OR REPLACE VIEW budget.budget_status
WITH (security_barrier = true) AS
SELECT
    s.name,
    s.dimension,
    s.member,
    s.period,
    s.limit_amount,
    s.spent,
    s.held,
    s.remaining,
    s.resets_at,
    s.enforcement,
    s.is_active,
    s.raised_by,
    s.raised_until
FROM budget._all_standings() AS s;

REVOKE ALL ON budget.budget_status FROM PUBLIC;
GRANT SELECT ON budget.budget_status TO budget_reader;
COMMENT ON VIEW budget.budget_status IS
'One row per budget and member with spend in the window that runs, and one for a budget that has none: limit, spent,
held, remaining (limit minus both; it may be negative), and when the window ends (resets_at; NULL for a total). The limit
is that in force: a temporary raise is in it, and shown by raised_by and raised_until.';
-- end views/budget_status.sql

DO $do$
BEGIN
    PERFORM budget._lock_table('public.system_config', 'SHARE ROW EXCLUSIVE');
    CREATE OR REPLACE TRIGGER budget_rezone
    AFTER INSERT OR UPDATE OR DELETE ON public.system_config
    FOR EACH ROW EXECUTE FUNCTION budget._rezone();
END
$do$;

DO $do$
BEGIN
    PERFORM budget._keep_found();
END
$do$;

RESET search_path;
