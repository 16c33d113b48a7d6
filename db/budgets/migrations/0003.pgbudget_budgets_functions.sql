-- depends: 0002.pgbudget_budgets_expiry_index
-- What the balances are kept, read and managed with. Core's functions do not call it yet.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._note_found();
END
$do$;

-- begin functions/_internal/_period.sql
-- Minutes and hours are stretches of time, the same everywhere; days, weeks and months are the calendar's, in a zone.
CREATE OR REPLACE FUNCTION budget._period(
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
        v_day := budget._window(p_at, p_zone);
        IF p_period = 'day' THEN
            starts_at := v_day.starts_at;
            ends_at := v_day.ends_at;
            RETURN;
        END IF;
        v_first := date_trunc(p_period, v_day.day::timestamp)::date;
        starts_at := budget._day_start(v_first, p_zone);
        ends_at := budget._day_start((v_first + ('1 ' || p_period)::interval)::date, p_zone);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._period(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._period(text, timestamptz, text) IS
'The window of a period that an instant belongs to: starts_at <= instant < ends_at. NULL where there is none.';
-- end functions/_internal/_period.sql

-- begin functions/_internal/_limit.sql
-- The limit of the day is core's. A raise ends by itself: nothing is written when its time has come.
CREATE OR REPLACE FUNCTION budget._limit(p_config budget._config, p_budget budget.budgets, p_now timestamptz)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_budget.name = 'daily' THEN
        RETURN p_config.emergency_kill;
    END IF;
    RETURN p_budget.limit_amount + CASE WHEN p_now < p_budget.extra_until THEN p_budget.extra ELSE 0 END;
END
$function$;

REVOKE ALL ON FUNCTION budget._limit(budget._config, budget.budgets, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._limit(budget._config, budget.budgets, timestamptz) IS
'The limit of a budget that is in force at an instant, a temporary raise included.';
-- end functions/_internal/_limit.sql

-- begin functions/_internal/_matching.sql
-- In this order balances are locked, by everyone.
CREATE OR REPLACE FUNCTION budget._matching(
    p_config budget._config,
    p_postings budget._posting[],
    p_now timestamptz
)
RETURNS SETOF budget._match
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $function$
BEGIN
    RETURN QUERY
    SELECT
        b.name,
        b.dimension,
        m.member,
        w.starts_at,
        w.ends_at,
        budget._limit(p_config, b, p_now),
        b.enforcement,
        b.slots,
        -- Consecutive sessions of a server have consecutive numbers.
        CASE WHEN b.slots > 1 THEN 1 + pg_backend_pid() % b.slots ELSE 0 END,
        sum(p.amount)
    FROM unnest(p_postings) AS p
    CROSS JOIN budget.budgets AS b
    CROSS JOIN LATERAL budget._member(b.dimension, p.service_name, p.request) AS m (member)
    CROSS JOIN LATERAL budget._period(
        b.period, coalesce(p.created_at, p_now), coalesce(b.timezone, p_config.timezone)
    ) AS w
    WHERE b.is_active AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL)) AND w.starts_at IS NOT NULL
    GROUP BY b.*, b.name, m.member, w.starts_at, w.ends_at
    ORDER BY b.name, m.member, w.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._matching(budget._config, budget._posting[], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._matching(budget._config, budget._posting[], timestamptz) IS
'The balances that postings belong to, those of a new request at p_now, in the order of locking.';
-- end functions/_internal/_matching.sql

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
            OR budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member
        );
    RETURN v_sum;
END
$function$;

REVOKE ALL ON FUNCTION budget._ledger_sum(text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._ledger_sum(text, text, timestamptz, timestamptz) IS
'What a balance must be: the sum of the ledger rows of a member in a window, and among them the lapsed holds that are
not marked.';
-- end functions/_internal/_ledger_sum.sql

-- begin functions/_internal/_posted.sql
CREATE OR REPLACE FUNCTION budget._posted(p_budget text, p_member text, p_starts_at timestamptz)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coalesce(
        (
            SELECT sum(o.amount)
            FROM budget.postings AS o
            WHERE o.budget = p_budget AND o.member = p_member AND o.starts_at = p_starts_at
        ),
        0
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._posted(text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._posted(text, text, timestamptz) IS
'The sum of the postings to a balance that are not folded into it yet.';
-- end functions/_internal/_posted.sql

-- begin functions/_internal/_unopened.sql
-- Who was not there when the balances were computed had no rows, and what came since is posted: a member that comes new
-- into a long window is not looked for in all of it.
CREATE OR REPLACE FUNCTION budget._unopened(
    p_budget text,
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
BEGIN
    IF p_ends_at > (SELECT b.counted_from FROM budget.budgets AS b WHERE b.name = p_budget) THEN
        RETURN budget._posted(p_budget, p_member, p_starts_at);
    END IF;
    RETURN budget._ledger_sum(p_dimension, p_member, p_starts_at, p_ends_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._unopened(text, text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._unopened(text, text, text, timestamptz, timestamptz) IS
'What the ledger rows of a member come to in a window whose balance nobody has opened, or that was pruned.';
-- end functions/_internal/_unopened.sql

-- begin functions/_internal/_insert_balance.sql
CREATE OR REPLACE FUNCTION budget._insert_balance(
    p_budget text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_slots integer,
    p_amount numeric
)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    VALUES (p_budget, p_member, p_starts_at, p_ends_at, 0, p_amount, -p_amount)
    ON CONFLICT (budget, member, starts_at, slot) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot)
    SELECT p_budget, p_member, p_starts_at, p_ends_at, s.slot
    FROM generate_series(1, p_slots) AS s (slot)
    WHERE p_slots > 1;
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_balance(text, text, timestamptz, timestamptz, integer, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_balance(text, text, timestamptz, timestamptz, integer, numeric) IS
'Inserts the rows of a balance: all of it in slot 0, and no room in any slot yet. False when it is there.';
-- end functions/_internal/_insert_balance.sql

-- begin functions/_internal/_open_balance.sql
-- The ledger and its postings are read in one snapshot: a row and its posting are committed together, seen together,
-- and counted once.
CREATE OR REPLACE FUNCTION budget._open_balance(p_match budget._match)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN budget._insert_balance(
        p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, p_match.slots,
        budget._unopened(p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at)
        - budget._posted(p_match.budget, p_match.member, p_match.starts_at)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._open_balance(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._open_balance(budget._match) IS
'Opens the balance of a member''s window, with all that the ledger has in it. False when another has opened it.';
-- end functions/_internal/_open_balance.sql

-- begin functions/_internal/_insert_posting.sql
CREATE OR REPLACE FUNCTION budget._insert_posting(p_match budget._match, p_amount numeric)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.postings (budget, member, starts_at, ends_at, slot, amount)
    VALUES (p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, p_match.slot, p_amount);
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_posting(budget._match, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_posting(budget._match, numeric) IS
'Posts an amount to a balance, under the slot of this session.';
-- end functions/_internal/_insert_posting.sql

-- begin functions/_internal/_take_postings.sql
-- Whoever takes postings passes over those that another is taking, and waits for nobody. They are locked before they
-- are deleted, because DELETE alone would wait.
CREATE OR REPLACE FUNCTION budget._take_postings(p_match budget._match, p_whole boolean)
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
                (t.budget, t.member, t.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
                AND (p_whole OR t.slot = p_match.slot)
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

REVOKE ALL ON FUNCTION budget._take_postings(budget._match, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._take_postings(budget._match, boolean) IS
'Deletes the postings to a balance, of the own slot or of all, and returns what they came to; NULL when there were
none.';
-- end functions/_internal/_take_postings.sql

-- begin functions/_internal/_fold.sql
-- Each session posts under its own slot, and whoever holds a slot folds what is under it.
CREATE OR REPLACE FUNCTION budget._fold(p_match budget._match, p_whole boolean)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric := budget._take_postings(p_match, p_whole);
BEGIN
    IF v_amount IS NULL THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET amount = b.amount + v_amount, room = b.room - v_amount
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND b.slot = CASE WHEN p_whole THEN 0 ELSE p_match.slot END
        AND (b.slot = 0 OR b.room >= v_amount);
    IF NOT FOUND THEN
        PERFORM budget._insert_posting(p_match, v_amount); -- until someone holds all slots
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._fold(budget._match, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._fold(budget._match, boolean) IS
'Adds the postings that have come in to their balance: those of the own slot to it, unless it would have less than no
room, or (p_whole) those of all slots to slot 0. The caller has locked the one, or all.';
-- end functions/_internal/_fold.sql

-- begin functions/_internal/_spread_room.sql
CREATE OR REPLACE FUNCTION budget._spread_room(p_match budget._match)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_total numeric := sum(b.amount)
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at);
    v_rest numeric := p_match.limit_amount - v_total - greatest(0, p_match.amount);
    v_share numeric := trunc(v_rest / p_match.slots, 12);
BEGIN
    -- Where there is no room for this request, nothing is gained by moving it.
    IF v_rest < 0 THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET
        amount = CASE b.slot WHEN 0 THEN v_total ELSE 0 END,
        room = CASE b.slot
            WHEN 0 THEN 0
            WHEN p_match.slot THEN p_match.limit_amount - v_total - (p_match.slots - 1) * v_share
            ELSE v_share
        END,
        room_of = CASE b.slot WHEN 0 THEN p_match.limit_amount ELSE 0 END
    WHERE (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._spread_room(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._spread_room(budget._match) IS
'Spreads the room of a balance over its slots anew, enough for the request to its own. The caller holds them all.';
-- end functions/_internal/_spread_room.sql

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

-- begin functions/_internal/_take_room.sql
CREATE OR REPLACE FUNCTION budget._take_room(p_match budget._match, p_needs_room boolean)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_unfolded record;
    v_missing numeric;
    v_other record;
BEGIN
    SELECT count(*) AS postings, coalesce(sum(o.amount) FILTER (WHERE o.amount > 0), 0) AS amount
    INTO v_unfolded
    FROM budget.postings AS o
    WHERE (o.budget, o.member, o.starts_at) = (p_match.budget, p_match.member, p_match.starts_at);
    -- Under a slot whose sessions never reserve, postings would pile up.
    IF v_unfolded.postings > 100 * p_match.slots THEN
        RETURN false;
    ELSIF NOT p_needs_room THEN
        RETURN true;
    END IF;

    -- What was spent without asking, and what a lowered limit took away, may be missing from any of the slots.
    SELECT
        greatest(0, p_match.amount)
        + greatest(0, -base.room)
        + greatest(0, base.room_of - p_match.limit_amount)
        + v_unfolded.amount
        - own.room
    INTO v_missing
    FROM budget.balances AS base
    INNER JOIN budget.balances AS own USING (budget, member, starts_at)
    WHERE
        (base.budget, base.member, base.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND base.slot = 0
        AND own.slot = p_match.slot;
    IF v_missing <= 0 THEN
        RETURN true;
    END IF;

    -- Only below the own slot, downwards: SKIP LOCKED, too, waits for a row that has just been updated, and this is the
    -- order in which all are locked.
    SELECT b.slot, b.room
    INTO v_other
    FROM budget.balances AS b
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND b.slot > 0
        AND b.slot < p_match.slot
        AND b.room >= v_missing
    ORDER BY b.slot DESC
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Half of the rest comes along, so that the next call finds it here.
    v_missing := v_missing + trunc((v_other.room - v_missing) / 2, 12);
    UPDATE budget.balances AS b
    SET room = b.room + CASE b.slot WHEN p_match.slot THEN v_missing ELSE -v_missing END
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND b.slot IN (p_match.slot, v_other.slot);
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._take_room(budget._match, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._take_room(budget._match, boolean) IS
'Sees to it that the own slot, which the caller has locked, has room for a request that needs room, if need be by taking
some from a slot that is free. False when no slot has enough, or when too many postings wait to be folded.';
-- end functions/_internal/_take_room.sql

-- begin functions/_internal/_lock_balance.sql
-- One order for all: a budget's slots from the highest number down to 0. Whoever holds one waits for none above it.
CREATE OR REPLACE FUNCTION budget._lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM
    FROM budget.balances AS b
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND (p_whole OR b.slot = p_match.slot)
    ORDER BY b.slot DESC
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        IF NOT budget._open_balance(p_match) THEN
            RETURN budget._lock_balance(p_match, p_needs_room, p_whole); -- another has opened it
        END IF;
        p_whole := true;
    END IF;
    PERFORM budget._fold(p_match, p_whole);
    IF p_match.slots = 1 THEN
        RETURN true;
    ELSIF p_whole THEN
        PERFORM budget._spread_room(p_match);
        RETURN true;
    END IF;
    RETURN budget._take_room(p_match, p_needs_room);
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) IS
'Locks what a decision on a balance needs, opened if it is not there: its row or, of one with slots, the own slot with
room enough, or all of them (p_whole). False when the own slot has too little room and no free one has enough:
the caller then gives back what it locked, and locks all.';
-- end functions/_internal/_lock_balance.sql

-- begin functions/_internal/_lapsed.sql
-- By their expiry: few have lapsed and are not marked, where the planner takes a third of all holds for that.
CREATE OR REPLACE FUNCTION budget._lapsed(
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_now timestamptz
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
        WHERE l.expires_at <= p_now
        OFFSET 0
    ) AS l
    WHERE
        l.created_at >= p_starts_at
        AND l.created_at < p_ends_at
        AND isfinite(l.created_at) -- else it is in no balance
        AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member;
END
$function$;

REVOKE ALL ON FUNCTION budget._lapsed(text, text, timestamptz, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._lapsed(text, text, timestamptz, timestamptz, timestamptz) IS
'What the holds of a member in a window come to that have lapsed at p_now and are not marked expired yet.';
-- end functions/_internal/_lapsed.sql

-- begin functions/_internal/_booked.sql
CREATE OR REPLACE FUNCTION budget._booked(
    p_budget text,
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
    v_amount numeric := sum(b.amount)
        FROM budget.balances AS b
        WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at;
BEGIN
    -- A window in which nobody has asked yet, or that was pruned.
    IF v_amount IS NULL THEN
        RETURN budget._unopened(p_budget, p_dimension, p_member, p_starts_at, p_ends_at);
    END IF;
    RETURN v_amount + budget._posted(p_budget, p_member, p_starts_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz) IS
'What the ledger rows of a member in a window come to, holds that have lapsed and are not marked yet among them.';
-- end functions/_internal/_booked.sql

-- begin functions/_internal/_balance.sql
-- A hold that has lapsed counts nowhere, marked or not. Mostly there is none that is not marked yet.
CREATE OR REPLACE FUNCTION budget._balance(
    p_config budget._config,
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_now timestamptz
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric := budget._booked(p_budget, p_dimension, p_member, p_starts_at, p_ends_at);
BEGIN
    -- The oldest alone is found by the index, whatever the planner knows of the ledger.
    IF p_config.on_expiry = 'release'
        AND (SELECT min(l.expires_at) FROM public.cost_tracking AS l WHERE l.expires_at <= p_now) IS NOT NULL
    THEN
        v_amount := v_amount - budget._lapsed(p_dimension, p_member, p_starts_at, p_ends_at, p_now);
    END IF;
    RETURN v_amount;
END
$function$;

REVOKE ALL ON FUNCTION budget._balance(
    budget._config, text, text, text, timestamptz, timestamptz, timestamptz
) FROM PUBLIC;
COMMENT ON FUNCTION budget._balance(budget._config, text, text, text, timestamptz, timestamptz, timestamptz) IS
'What is spent and held of a member''s window at an instant.';
-- end functions/_internal/_balance.sql

-- begin functions/_internal/_escalate_balance.sql
-- Judged by state, as the day's caps are. The day's own caps are core's.
CREATE OR REPLACE FUNCTION budget._escalate_balance(p_config budget._config, p_match budget._match)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_booked numeric := budget._booked(
        p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at
    );
    v_total numeric;
    v_reached record;
    v_told boolean := false;
BEGIN
    FOR v_reached IN
        SELECT t.amount, t.severity
        FROM (
            SELECT s.amount, 'warning'
            FROM budget.budgets AS b
            CROSS JOIN LATERAL unnest(b.soft_limits) AS s (amount)
            WHERE b.name = p_match.budget
            UNION ALL
            SELECT p_match.limit_amount, 'critical'
        ) AS t (amount, severity)
        WHERE t.amount <= v_booked
    LOOP
        -- Lapsed holds are looked for only where it may make a difference: one statement may write for many members.
        v_total := coalesce(v_total, budget._balance(
            p_config, p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at, budget._now()
        ));
        CONTINUE WHEN v_reached.amount > v_total;
        v_told := budget._escalate_once(
            'budget_threshold',
            coalesce(budget._iso(p_match.starts_at), 'ever'),
            p_match.budget,
            ARRAY[p_match.budget, p_match.member, trim_scale(v_reached.amount)::text],
            v_reached.severity,
            format(
                'Budget %s, member %s, has reached %s: settled and held %s, limit %s.',
                p_match.budget, p_match.member, v_reached.amount, v_total, p_match.limit_amount
            ),
            jsonb_build_object(
                'day', (budget._window(budget._now(), p_config.timezone)).day,
                'starts_at', budget._iso(p_match.starts_at),
                'budget', p_match.budget,
                'member', p_match.member,
                'threshold', v_reached.amount::text,
                'current_total', v_total::text,
                'limit_amount', p_match.limit_amount::text
            ),
            NULL,
            NULL
        ) OR v_told;
    END LOOP;
    RETURN v_told;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_balance(budget._config, budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_balance(budget._config, budget._match) IS
'One escalation per threshold and window for a balance that is at or above it. Was there one to be written?';
-- end functions/_internal/_escalate_balance.sql

-- begin functions/_internal/_post.sql
-- A posting waits for nobody: no writer of the ledger is held up by a decision, nor holds one up.
CREATE OR REPLACE FUNCTION budget._post()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_postings budget._posting[];
    v_config budget._config;
    v_match budget._match;
    v_piled numeric;
    c_most CONSTANT integer := 100;
    v_told integer := 0; -- members of whom a threshold was told
BEGIN
    -- The tables of old and new rows are there for the statements that have them.
    IF TG_OP = 'INSERT' THEN
        v_postings := ARRAY(
            SELECT ROW(n.service_name, budget._request(n.metadata), n.created_at, n.cost)::budget._posting
            FROM new_rows AS n
        );
    ELSIF TG_OP = 'DELETE' THEN
        v_postings := ARRAY(
            SELECT ROW(o.service_name, budget._request(o.metadata), o.created_at, -o.cost)::budget._posting
            FROM old_rows AS o
        );
    ELSE
        -- By the request's text, for members go by it: jsonb takes [7] and [7.0] for equal.
        v_postings := ARRAY(
            SELECT ROW(c.service_name, c.request::jsonb, c.created_at, sum(c.cost))::budget._posting
            FROM (
                SELECT n.service_name, budget._request(n.metadata)::text AS request, n.created_at, n.cost
                FROM new_rows AS n
                UNION ALL
                SELECT o.service_name, budget._request(o.metadata)::text, o.created_at, -o.cost
                FROM old_rows AS o
            ) AS c
            GROUP BY c.service_name, c.request, c.created_at
            HAVING sum(c.cost) <> 0
        );
    END IF;
    IF v_postings = '{}' THEN
        RETURN NULL;
    END IF;
    -- A snapshot older than a budget would not see that there is one to post to (budget._touch).
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM budget.budgets AS b WHERE b.name = 'daily' FOR SHARE;
    END IF;

    v_config := budget._read_config();
    FOR v_match IN SELECT m.* FROM budget._matching(v_config, v_postings, budget._now()) AS m LOOP
        CONTINUE WHEN v_match.amount = 0;
        v_piled := NULL;
        -- Where nobody reserves, nobody folds: one posting in a hundred takes with it what has piled up before it. An
        -- older snapshot cannot take what has changed since.
        IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
            v_piled := budget._take_postings(v_match, false);
        END IF;
        PERFORM budget._insert_posting(v_match, v_match.amount + coalesce(v_piled, 0));
        -- Of the rest it is told when they are written next: one statement may write for thousands.
        IF v_match.amount > 0 AND v_match.budget <> 'daily' AND v_told < c_most THEN
            v_told := v_told + budget._escalate_balance(v_config, v_match)::integer;
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._post() FROM PUBLIC;
COMMENT ON FUNCTION budget._post() IS
'Trigger on the ledger, for every writer of it: posts what a statement changed to the balances that it matches.';
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
CREATE OR REPLACE FUNCTION budget._rebuild(p_config budget._config, p_budget text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_now timestamptz := budget._now();
BEGIN
    DELETE FROM budget.balances AS b WHERE b.budget = p_budget;
    DELETE FROM budget.postings AS o WHERE o.budget = p_budget;
    PERFORM budget._insert_balance(p_budget, c.member, c.starts_at, c.ends_at, c.slots, c.amount)
    FROM (
        SELECT b.slots, m.member, w.starts_at, w.ends_at, sum(l.cost) AS amount
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._period(b.period, v_now, coalesce(b.timezone, p_config.timezone)) AS n
        INNER JOIN public.cost_tracking AS l ON l.created_at >= n.starts_at
        CROSS JOIN LATERAL (
            SELECT n.starts_at, n.ends_at
            WHERE l.created_at < n.ends_at
            UNION ALL
            SELECT p.starts_at, p.ends_at
            FROM budget._period(b.period, l.created_at, coalesce(b.timezone, p_config.timezone)) AS p
            WHERE l.created_at >= n.ends_at
        ) AS w
        CROSS JOIN LATERAL budget._member(b.dimension, l.service_name, budget._request(l.metadata)) AS m (member)
        WHERE
            b.name = p_budget
            AND b.is_active
            AND isfinite(l.created_at)
            AND w.starts_at IS NOT NULL
            AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL))
        GROUP BY b.slots, m.member, w.starts_at, w.ends_at
    ) AS c;
    UPDATE budget.budgets AS b SET counted_from = v_now WHERE b.name = p_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget._rebuild(budget._config, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._rebuild(budget._config, text) IS
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
    IF (budget._parse_config(v_old)).timezone = (budget._parse_config(v_new)).timezone THEN
        RETURN NULL;
    END IF;
    v_lock_timeout := budget._begin_decision();
    PERFORM budget._lock_ledger();
    PERFORM budget._touch();
    PERFORM budget._rebuild(budget._read_config(), b.name)
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

-- begin functions/_internal/_budget_standing.sql
CREATE OR REPLACE FUNCTION budget._budget_standing()
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
    v_config budget._config := budget._read_config();
    v_now timestamptz := budget._now();
BEGIN
    RETURN QUERY
    WITH windows AS MATERIALIZED (
        SELECT
            b.*,
            w.starts_at,
            w.ends_at,
            k.limit_now,
            v_now < b.extra_until AND b.extra > 0 AS is_raised
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._period(b.period, v_now, coalesce(b.timezone, v_config.timezone)) AS w
        CROSS JOIN LATERAL budget._limit(v_config, b, v_now) AS k (limit_now)
    ),

    open AS MATERIALIZED (
        SELECT l.service_name, budget._request(l.metadata) AS request, l.created_at, l.expires_at, l.cost
        FROM public.cost_tracking AS l
        WHERE l.expires_at IS NOT NULL AND isfinite(l.created_at)
    ),

    -- Once for a budget, not once for each of its members: there may be thousands of these.
    holds AS MATERIALIZED (
        SELECT
            h.name,
            h.member,
            coalesce(sum(h.cost) FILTER (WHERE h.expires_at > v_now), 0) AS held,
            coalesce(sum(h.cost) FILTER (WHERE h.expires_at <= v_now AND v_config.on_expiry = 'release'), 0) AS lapsed
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
                WHEN c.is_open THEN c.amount
                -- A window in which nobody has asked yet, or that was pruned.
                ELSE budget._unopened(w.name, w.dimension, m.member, w.starts_at, w.ends_at)
            END - coalesce(h.lapsed, 0) AS total
    ) AS t
    ORDER BY w.name, m.member;
END
$function$;

REVOKE ALL ON FUNCTION budget._budget_standing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._budget_standing() TO budget_reader;
COMMENT ON FUNCTION budget._budget_standing() IS 'What the view budget.budget_status shows.';
-- end functions/_internal/_budget_standing.sql

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
    OUT postings budget._posting[],
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
    postings := '{}';
    FOR v_element IN SELECT b.* FROM budget._batch(p_elements, p_argument, p_keys) AS b LOOP
        v_n := v_n + 1;
        IF jsonb_typeof(v_element -> 'service_name') NOT IN ('string', 'null') THEN
            RAISE EXCEPTION 'service_name must be text'
                USING ERRCODE = '22023', DETAIL = format('It is of type %s.', jsonb_typeof(v_element -> 'service_name'));
        END IF;
        amounts[v_n] := budget._money((v_element ->> c_cost)::numeric, c_cost);
        postings[v_n] := ROW(
            CASE WHEN c_is_request THEN budget._service_name(v_element ->> 'service_name') END,
            budget._metadata(nullif(v_element -> 'metadata', 'null')),
            NULL,
            amounts[v_n]
        )::budget._posting;
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

-- begin functions/_internal/_admit_all.sql
-- What is granted one after another is granted at once where all of it fits: then no part of it can be refused.
CREATE OR REPLACE FUNCTION budget._admit_all(
    p_config budget._config,
    p_now timestamptz,
    p_postings budget._posting[],
    p_ids uuid[],
    p_ttls interval[]
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_match budget._match;
    v_day budget._match;
    v_before numeric;
    v_fits boolean;
    v_total numeric;
    v_held bigint;
BEGIN
    IF p_config.frozen OR EXISTS (SELECT FROM public.cost_tracking AS l WHERE l.id = ANY (p_ids)) THEN
        RETURN;
    END IF;
    FOR v_match IN SELECT m.* FROM budget._matching(p_config, p_postings, p_now) AS m LOOP
        v_before := budget._booked(
            v_match.budget, v_match.dimension, v_match.member, v_match.starts_at, v_match.ends_at
        );
        v_fits := v_match.enforcement = 'warn'
            OR v_before + v_match.amount <= v_match.limit_amount
            OR (v_match.amount = 0 AND v_match.budget <> 'daily');
        -- Lapsed holds are looked for only where that makes a difference: a batch may be for many members.
        IF v_match.budget = 'daily' OR NOT v_fits THEN
            v_before := budget._balance(
                p_config, v_match.budget, v_match.dimension, v_match.member, v_match.starts_at, v_match.ends_at, p_now
            );
        END IF;
        IF v_match.budget = 'daily' THEN
            v_day := v_match;
            v_total := v_before;
        END IF;
        IF NOT v_fits AND v_before + v_match.amount > v_match.limit_amount THEN
            RETURN;
        END IF;
    END LOOP;

    BEGIN
        WITH held AS (
            INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at, expires_at)
            SELECT
                r.id, r.service_name, r.amount, budget._hold_metadata(r.amount, r.request, p_now), p_now,
                p_now + coalesce(r.ttl, p_config.reservation_ttl)
            FROM unnest(p_postings, p_ids, p_ttls) WITH ORDINALITY
                AS r (service_name, request, created_at, amount, id, ttl, n)
            ORDER BY r.id -- two batches that have ids in common, in any order, meet at the first of them
            ON CONFLICT (id) DO NOTHING
            RETURNING l.cost, l.metadata, l.created_at
        )

        SELECT count(*)
        INTO v_held
        FROM held AS h
        WHERE h.created_at = p_now AND h.cost = (h.metadata ->> 'requested_cost')::numeric;
        IF v_held < cardinality(p_ids) THEN
            RAISE EXCEPTION USING ERRCODE = 'PB099';
        END IF;
    EXCEPTION
        WHEN SQLSTATE 'PB099' THEN
            RETURN; -- an id stands here twice, was taken between our look and our insert, or a trigger changed a row
    END;
    PERFORM budget._escalate_caps(p_config, v_total + v_day.amount, p_now);
    RETURN QUERY
    SELECT
        true,
        v_total + r.earlier,
        r.id,
        'granted',
        v_day.budget,
        v_day.limit_amount,
        v_day.limit_amount - v_total - r.earlier,
        v_day.ends_at,
        NULL::timestamptz,
        p_now + coalesce(r.ttl, p_config.reservation_ttl)
    FROM (
        SELECT u.id, u.ttl, u.n, sum(u.amount) OVER (ORDER BY u.n) - u.amount AS earlier
        FROM unnest(p_postings, p_ids, p_ttls) WITH ORDINALITY AS u (service_name, request, created_at, amount, id, ttl, n)
    ) AS r
    ORDER BY r.n;
END
$function$;

REVOKE ALL ON FUNCTION budget._admit_all(
    budget._config, timestamptz, budget._posting[], uuid[], interval[]
) FROM PUBLIC;
COMMENT ON FUNCTION budget._admit_all(budget._config, timestamptz, budget._posting[], uuid[], interval[]) IS
'Grants requests as if they came one after another, under the decision lock, if all of them fit and none is a repeat.
No rows, and nothing done, when not.';
-- end functions/_internal/_admit_all.sql

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
            IF NOT budget._settled(v_row, p_actuals[v_n]) THEN
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
    p_config budget._config,
    p_ids uuid[],
    p_actuals numeric[],
    p_open integer[],
    p_now timestamptz
)
RETURNS TABLE (n integer, total numeric)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_config.error IS NOT NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH spends AS (
        SELECT o.n, w.starts_at, w.ends_at, p_actuals[o.n] - budget._counted(p_config, p_now, l) AS more
        FROM unnest(p_open) AS o (n)
        INNER JOIN public.cost_tracking AS l ON p_ids[o.n] = l.id
        CROSS JOIN LATERAL budget._period('day', l.created_at, p_config.timezone) AS w
    ),

    days AS (
        SELECT
            s.starts_at,
            sum(s.more) + budget._balance(p_config, 'daily', '*', '*', s.starts_at, s.ends_at, p_now) AS total
        FROM spends AS s
        GROUP BY s.starts_at, s.ends_at
        HAVING bool_or(s.more > 0)
    )

    SELECT s.n, d.total
    FROM spends AS s
    INNER JOIN days AS d ON s.starts_at = d.starts_at
    WHERE s.more > 0;
END
$function$;

REVOKE ALL ON FUNCTION budget._totals_after(budget._config, uuid[], numeric[], integer[], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._totals_after(budget._config, uuid[], numeric[], integer[], timestamptz) IS
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
    v_config budget._config;
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
    v_config := budget._require_config(); -- nobody changes the zone from here on
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
    PERFORM budget._rebuild(v_config, p_name);
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
    v_config budget._config;
BEGIN
    PERFORM budget._lock_ledger();
    v_config := budget._read_config(); -- nobody changes the zone from here on
    FOR budget, member, starts_at, balance, ledger IN SELECT d.* FROM budget._drift() AS d LOOP
        DELETE FROM budget.balances AS o
        WHERE o.budget = reconcile.budget AND o.member = reconcile.member AND o.starts_at = reconcile.starts_at;
        DELETE FROM budget.postings AS o
        WHERE o.budget = reconcile.budget AND o.member = reconcile.member AND o.starts_at = reconcile.starts_at;
        PERFORM budget._insert_balance(
            b.name, reconcile.member, reconcile.starts_at, coalesce(w.ends_at, 'infinity'), b.slots, reconcile.ledger
        )
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._period(
            b.period, reconcile.starts_at, coalesce(b.timezone, v_config.timezone)
        ) AS w
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
    v_match budget._match;
BEGIN
    PERFORM budget._lock_ledger();
    DELETE FROM budget.postings AS o WHERE o.ends_at <= v_before;
    WITH pruned AS (
        DELETE FROM budget.balances AS b WHERE b.ends_at <= v_before RETURNING b.slot
    )
    SELECT count(*) INTO v_pruned FROM pruned AS p WHERE p.slot = 0;
    UPDATE budget.budgets AS b SET counted_from = v_before WHERE b.counted_from < v_before;
    -- Where nobody reserves, nobody folds.
    FOR v_match IN
        SELECT b.name, b.dimension, o.member, o.starts_at, o.ends_at, NULL, b.enforcement, b.slots, 0, 0
        FROM budget.budgets AS b
        INNER JOIN budget.postings AS o ON b.name = o.budget
        GROUP BY b.name, o.member, o.starts_at, o.ends_at
    LOOP
        PERFORM budget._open_balance(v_match);
        PERFORM budget._fold(v_match, true);
    END LOOP;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_pruned;
END
$function$;

REVOKE ALL ON FUNCTION budget.prune(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.prune(timestamptz) TO budget_admin;
COMMENT ON FUNCTION budget.prune(timestamptz) IS
'Removes the balances of windows that have ended by p_before; returns how many. No ledger row is touched: who asks for
such a window again, as an extend of an old hold does, opens it from the ledger. Folds in what was posted to the others,
for budgets that are written to and that nobody reserves from.

p_before  an instant; NULL and any later one: now

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: its writers wait for the short while.';
-- end functions/prune.sql

-- begin functions/reserve_many.sql
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
FROM budget._budget_standing() AS s;

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
