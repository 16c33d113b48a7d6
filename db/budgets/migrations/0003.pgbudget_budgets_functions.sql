-- depends: 0002.pgbudget_budgets_expiry_index
-- What the balances are kept, read and managed with. Core's functions do not call it yet.

SET search_path = pg_catalog, pg_temp;

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
SECURITY DEFINER
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
GRANT EXECUTE ON FUNCTION budget._period(text, timestamptz, text) TO budget_reader;
COMMENT ON FUNCTION budget._period(text, timestamptz, text) IS
'The window of a period that an instant belongs to: starts_at <= instant < ends_at.';
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
    p_postings budget._posting [],
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

REVOKE ALL ON FUNCTION budget._matching(budget._config, budget._posting [], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._matching(budget._config, budget._posting [], timestamptz) IS
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
'What a balance must be: the sum of the ledger rows of a member in a window, lapsed holds that are not marked included.';
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

-- begin functions/_internal/_open_balance.sql
-- In one statement, and so in one snapshot: a ledger row and its posting are committed together, seen together, and
-- counted once.
CREATE OR REPLACE FUNCTION budget._open_balance(p_match budget._match)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    SELECT p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, 0, t.amount, -t.amount
    FROM (
        SELECT
            budget._ledger_sum(p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at)
            - budget._posted(p_match.budget, p_match.member, p_match.starts_at) AS amount
    ) AS t
    ON CONFLICT (budget, member, starts_at, slot) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot)
    SELECT p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, s.slot
    FROM generate_series(1, p_match.slots) AS s (slot)
    WHERE p_match.slots > 1;
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._open_balance(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._open_balance(budget._match) IS
'Opens the balance of a member''s window, with all that the ledger has in it. False when another has opened it.';
-- end functions/_internal/_open_balance.sql

-- begin functions/_internal/_fold.sql
-- Postings that another decision is folding are left to it.
CREATE OR REPLACE FUNCTION budget._fold(p_match budget._match, p_slot integer)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_rows tid [];
    v_amount numeric;
BEGIN
    SELECT array_agg(p.ctid), sum(p.amount)
    INTO v_rows, v_amount
    FROM (
        SELECT o.ctid, o.amount
        FROM budget.postings AS o
        WHERE o.budget = p_match.budget AND o.member = p_match.member AND o.starts_at = p_match.starts_at
        FOR UPDATE SKIP LOCKED
    ) AS p;
    IF v_rows IS NULL THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET amount = b.amount + v_amount, room = b.room - v_amount
    WHERE
        b.budget = p_match.budget
        AND b.member = p_match.member
        AND b.starts_at = p_match.starts_at
        AND b.slot = p_slot
        AND (b.slot = 0 OR b.room >= v_amount);
    IF FOUND THEN
        DELETE FROM budget.postings AS o WHERE o.ctid = ANY (v_rows);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._fold(budget._match, integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._fold(budget._match, integer) IS
'Adds the postings that have come in to a slot of their balance, which the caller has locked; not to one that would have
less than no room.';
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
        WHERE b.budget = p_match.budget AND b.member = p_match.member AND b.starts_at = p_match.starts_at;
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
    WHERE b.budget = p_match.budget AND b.member = p_match.member AND b.starts_at = p_match.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._spread_room(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._spread_room(budget._match) IS
'Spreads the room of a balance over its slots anew, enough for the request to its own. The caller holds them all.';
-- end functions/_internal/_spread_room.sql

-- begin functions/_internal/_lock_balance.sql
-- One order for all: a budget's slots from the highest number down to 0. Whoever holds a slot waits for none above it,
-- and looks at others only where they are free (SKIP LOCKED).
CREATE OR REPLACE FUNCTION budget._lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_locked boolean;
    v_missing numeric;
    v_other record;
BEGIN
    IF p_needs_room OR p_match.slots = 1 THEN
        PERFORM
        FROM budget.balances AS b
        WHERE
            b.budget = p_match.budget
            AND b.member = p_match.member
            AND b.starts_at = p_match.starts_at
            AND (p_whole OR b.slot = p_match.slot)
        ORDER BY b.slot DESC
        FOR NO KEY UPDATE;
        v_locked := FOUND;
    ELSE
        -- Whoever needs no room need not wait for it, and folds what may never fit into a slot.
        PERFORM
        FROM budget.balances AS b
        WHERE b.budget = p_match.budget AND b.member = p_match.member AND b.starts_at = p_match.starts_at AND b.slot = 0
        FOR NO KEY UPDATE SKIP LOCKED;
        v_locked := FOUND;
        p_match.slot := 0;
    END IF;
    IF NOT v_locked AND NOT EXISTS (
        SELECT
        FROM budget.balances AS b
        WHERE b.budget = p_match.budget AND b.member = p_match.member AND b.starts_at = p_match.starts_at
    ) THEN
        IF NOT budget._open_balance(p_match) THEN
            RETURN budget._lock_balance(p_match, p_needs_room, p_whole); -- another has opened it
        END IF;
        v_locked := true;
        p_whole := true;
    END IF;
    IF v_locked THEN
        PERFORM budget._fold(p_match, CASE WHEN p_whole THEN 0 ELSE p_match.slot END);
    END IF;
    IF p_match.slots = 1 OR NOT p_needs_room THEN
        RETURN true;
    ELSIF p_whole THEN
        PERFORM budget._spread_room(p_match);
        RETURN true;
    END IF;

    -- What was spent without asking, and what a lowered limit took away, may be missing from any of the slots.
    SELECT
        greatest(0, p_match.amount)
        + greatest(0, -base.room)
        + greatest(0, base.room_of - p_match.limit_amount)
        + coalesce(
            (
                SELECT sum(o.amount)
                FROM budget.postings AS o
                WHERE
                    o.budget = base.budget
                    AND o.member = base.member
                    AND o.starts_at = base.starts_at
                    AND o.amount > 0
            ),
            0
        )
        - own.room
    INTO v_missing
    FROM budget.balances AS base
    INNER JOIN budget.balances AS own USING (budget, member, starts_at)
    WHERE
        base.budget = p_match.budget
        AND base.member = p_match.member
        AND base.starts_at = p_match.starts_at
        AND base.slot = 0
        AND own.slot = p_match.slot;
    IF v_missing <= 0 THEN
        RETURN true;
    END IF;

    SELECT b.slot, b.room
    INTO v_other
    FROM budget.balances AS b
    WHERE
        b.budget = p_match.budget
        AND b.member = p_match.member
        AND b.starts_at = p_match.starts_at
        AND b.slot NOT IN (0, p_match.slot)
        AND b.room >= v_missing
    ORDER BY b.room DESC
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
        b.budget = p_match.budget
        AND b.member = p_match.member
        AND b.starts_at = p_match.starts_at
        AND b.slot IN (p_match.slot, v_other.slot);
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) IS
'Locks what a decision on a balance needs, opened if it is not there: its row or, of one with slots, the own slot with
room enough, or all of them (p_whole). False when the own slot has too little room and no free one has enough:
the caller then gives back what it locked, and locks all.';
-- end functions/_internal/_lock_balance.sql

-- begin functions/_internal/_balance.sql
-- A hold that has lapsed counts nowhere, marked or not; those that are not are few, and found by their expiry.
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
    v_amount numeric := sum(b.amount)
        FROM budget.balances AS b
        WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at;
    v_lapsed numeric;
BEGIN
    -- A window in which nobody has asked yet, or that was pruned.
    IF v_amount IS NULL THEN
        v_amount := budget._ledger_sum(p_dimension, p_member, p_starts_at, p_ends_at);
    ELSE
        v_amount := v_amount + budget._posted(p_budget, p_member, p_starts_at);
    END IF;
    IF p_config.on_expiry = 'release' THEN
        -- By their expiry alone: the rows of the window are many.
        WITH lapsed AS MATERIALIZED (
            SELECT l.service_name, l.metadata, l.created_at, l.cost FROM public.cost_tracking AS l WHERE l.expires_at <= p_now
        )

        SELECT sum(l.cost)
        INTO v_lapsed
        FROM lapsed AS l
        WHERE
            l.created_at >= p_starts_at
            AND l.created_at < p_ends_at
            AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member;
    END IF;
    RETURN v_amount - coalesce(v_lapsed, 0);
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
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_total numeric := budget._balance(
        p_config, p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at, budget._now()
    );
    v_reached record;
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
        WHERE t.amount <= v_total
    LOOP
        PERFORM budget._escalate_once(
            'budget_threshold',
            (budget._window(budget._now(), p_config.timezone)).day,
            concat_ws('/', p_match.budget, budget._iso(p_match.starts_at), v_reached.amount, p_match.member),
            v_reached.severity,
            format(
                'Budget %s, member %s, has reached %s: settled and held %s, limit %s.',
                p_match.budget, p_match.member, v_reached.amount, v_total, p_match.limit_amount
            ),
            jsonb_build_object(
                'budget', p_match.budget,
                'member', p_match.member,
                'threshold', v_reached.amount::text,
                'current_total', v_total::text,
                'limit_amount', p_match.limit_amount::text
            ),
            NULL
        );
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_balance(budget._config, budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_balance(budget._config, budget._match) IS
'One escalation per threshold, window and day for a balance that is at or above it.';
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
    v_postings budget._posting [];
    v_config budget._config;
    v_match budget._match;
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
        v_postings := ARRAY(
            SELECT ROW(c.service_name, c.request, c.created_at, sum(c.cost))::budget._posting
            FROM (
                SELECT n.service_name, budget._request(n.metadata) AS request, n.created_at, n.cost FROM new_rows AS n
                UNION ALL
                SELECT o.service_name, budget._request(o.metadata), o.created_at, -o.cost FROM old_rows AS o
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
        INSERT INTO budget.postings (budget, member, starts_at, ends_at, amount)
        VALUES (v_match.budget, v_match.member, v_match.starts_at, v_match.ends_at, v_match.amount);
        IF v_match.amount > 0 AND v_match.budget <> 'daily' THEN
            PERFORM budget._escalate_balance(v_config, v_match);
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
AS $function$
BEGIN
    DELETE FROM budget.balances;
    DELETE FROM budget.postings;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._forget_balances() FROM PUBLIC;
COMMENT ON FUNCTION budget._forget_balances() IS 'Trigger on TRUNCATE of the ledger: an empty one has empty windows.';
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
BEGIN
    DELETE FROM budget.balances AS b WHERE b.budget = p_budget;
    DELETE FROM budget.postings AS o WHERE o.budget = p_budget;
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    SELECT
        p_budget, c.member, c.starts_at, c.ends_at, s.slot,
        CASE s.slot WHEN 0 THEN c.amount ELSE 0 END,
        CASE s.slot WHEN 0 THEN -c.amount ELSE 0 END
    FROM (
        SELECT b.slots, m.member, w.starts_at, w.ends_at, sum(l.cost) AS amount
        FROM budget.budgets AS b
        CROSS JOIN LATERAL budget._period(b.period, budget._now(), coalesce(b.timezone, p_config.timezone)) AS w
        INNER JOIN public.cost_tracking AS l ON l.created_at >= w.starts_at AND l.created_at < w.ends_at
        CROSS JOIN LATERAL budget._member(b.dimension, l.service_name, budget._request(l.metadata)) AS m (member)
        WHERE
            b.name = p_budget
            AND b.is_active
            AND isfinite(l.created_at)
            AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL))
        GROUP BY b.slots, m.member, w.starts_at, w.ends_at
    ) AS c
    CROSS JOIN LATERAL generate_series(0, CASE WHEN c.slots > 1 THEN c.slots ELSE 0 END) AS s (slot);
END
$function$;

REVOKE ALL ON FUNCTION budget._rebuild(budget._config, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._rebuild(budget._config, text) IS
'Computes a budget''s balances of the window that runs now from the ledger. The caller keeps the ledger''s writers out.';
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
    v_lock_timeout := budget._begin_write();
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
anew. Locks then: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction. Errors: 55P03.';
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
        WHERE l.expires_at IS NOT NULL
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
                ELSE budget._ledger_sum(w.dimension, m.member, w.starts_at, w.ends_at)
            END - coalesce(h.lapsed, 0) AS total
    ) AS t
    ORDER BY w.name, m.member;
END
$function$;

REVOKE ALL ON FUNCTION budget._budget_standing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._budget_standing() TO budget_reader;
COMMENT ON FUNCTION budget._budget_standing() IS 'What the view budget.budget_status shows.';
-- end functions/_internal/_budget_standing.sql

-- begin functions/set_budget.sql
CREATE OR REPLACE FUNCTION budget.set_budget(
    p_name text,
    p_limit numeric,
    p_dimension text DEFAULT '*',
    p_member text DEFAULT NULL,
    p_period text DEFAULT 'day',
    p_timezone text DEFAULT NULL,
    p_soft_limits numeric [] DEFAULT '{}',
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
    v_config budget._config := budget._require_config();
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
                IS DISTINCT FROM ('*', 'day', '{}'::numeric [], 'block', true)
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
        extra_until = excluded.extra_until
    RETURNING b.* INTO v_budget;
    PERFORM budget._touch();
    PERFORM budget._rebuild(v_config, p_name);
    PERFORM budget._note_change(
        'budget_changed', format('Budget %s was set.', p_name), v_old::text, to_jsonb(v_budget)::text
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT v_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric [], text, boolean, integer, numeric, timestamptz
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric [], text, boolean, integer, numeric, timestamptz
) TO budget_admin;
COMMENT ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric [], text, boolean, integer, numeric, timestamptz
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
p_until        when the raise ends

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
    v_match budget._match;
BEGIN
    PERFORM budget._lock_ledger();
    FOR budget, member, starts_at, balance, ledger IN SELECT d.* FROM budget._drift() AS d LOOP
        SELECT b.name, b.dimension, o.member, o.starts_at, max(o.ends_at), NULL, b.enforcement, b.slots, 0, 0
        INTO v_match
        FROM budget.budgets AS b
        INNER JOIN budget.balances AS o ON b.name = o.budget
        WHERE o.budget = reconcile.budget AND o.member = reconcile.member AND o.starts_at = reconcile.starts_at
        GROUP BY b.name, o.member, o.starts_at;
        DELETE FROM budget.postings AS o
        WHERE o.budget = v_match.budget AND o.member = v_match.member AND o.starts_at = v_match.starts_at;
        DELETE FROM budget.balances AS o
        WHERE o.budget = v_match.budget AND o.member = v_match.member AND o.starts_at = v_match.starts_at;
        PERFORM budget._open_balance(v_match);
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
CREATE OR REPLACE FUNCTION budget.prune(p_before timestamptz)
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
    WITH pruned AS (
        DELETE FROM budget.balances AS b WHERE b.ends_at <= v_before RETURNING b.slot
    )
    SELECT count(*) INTO v_pruned FROM pruned AS p WHERE p.slot = 0;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_pruned;
END
$function$;

REVOKE ALL ON FUNCTION budget.prune(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.prune(timestamptz) TO budget_admin;
COMMENT ON FUNCTION budget.prune(timestamptz) IS
'Removes the balances of windows that have ended by p_before; returns how many. No ledger row is touched: who asks for
such a window again, as an extend of an old hold does, opens it from the ledger.

p_before  NULL: now, and no later than that

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: its writers wait for the short while.';
-- end functions/prune.sql

-- begin views/budget_status.sql
CREATE OR REPLACE VIEW budget.budget_status AS
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

RESET search_path;
