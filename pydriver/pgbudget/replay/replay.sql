-- What a scratch database needs to live through a log: the calls, their events in order, and a clock that the events move.
-- The budget's own functions decide; nothing here knows a rule of theirs.

CREATE SCHEMA replay;

CREATE TABLE replay.call (
    line integer PRIMARY KEY,
    at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    service text NOT NULL,
    logged numeric,
    actual numeric,
    proposer text,
    input_tokens bigint,
    output_tokens bigint,
    max_output_tokens bigint,
    complexity_score numeric,
    hard_stop_required boolean,
    tier numeric,
    tokens numeric
);

CREATE TABLE replay.event (n integer PRIMARY KEY, at timestamptz NOT NULL, line integer NOT NULL, begins boolean NOT NULL);

CREATE TABLE replay.answer (
    line integer PRIMARY KEY,
    estimate numeric NOT NULL,
    can_proceed boolean NOT NULL,
    reason text NOT NULL,
    current_total numeric NOT NULL,
    resets_at timestamptz NOT NULL,
    retry_at timestamptz,
    expires_at timestamptz,
    late boolean
);

CREATE TABLE replay.history (service text PRIMARY KEY, asked_at timestamptz NOT NULL, estimate numeric);

CREATE INDEX replay_history ON public.cost_tracking (service_name, created_at);

CREATE OR REPLACE FUNCTION budget._now()
RETURNS timestamptz
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN current_setting('replay.now')::timestamptz;
END
$function$;

-- Prices make amounts of tokens, and scores make tiers. Call this once, when the calls and the prices are there.
CREATE FUNCTION replay.prepare()
RETURNS bigint
LANGUAGE plpgsql
AS $function$
BEGIN
    UPDATE replay.call AS c
    SET
        actual = coalesce(c.actual, CASE
            WHEN c.output_tokens IS NOT NULL THEN budget.estimate_tokens(c.proposer, c.input_tokens, c.output_tokens)
        END),
        tokens = CASE
            WHEN c.max_output_tokens IS NOT NULL AND c.input_tokens IS NOT NULL AND c.proposer IS NOT NULL
                THEN budget.estimate_tokens(c.proposer, c.input_tokens, c.max_output_tokens)
        END,
        tier = CASE
            WHEN c.complexity_score IS NOT NULL THEN budget.estimate(c.complexity_score, c.hard_stop_required)
        END;
    -- At one instant what ends goes before what begins; a call that takes no time ends right after its own beginning.
    INSERT INTO replay.event (n, at, line, begins)
    SELECT row_number() OVER (ORDER BY e.at, e.begins OR c.ended_at = c.at, e.line, NOT e.begins), e.at, e.line, e.begins
    FROM replay.call AS c
    CROSS JOIN LATERAL (VALUES (c.at, c.line, true), (c.ended_at, c.line, false)) AS e (at, line, begins);
    ANALYZE replay.call, replay.event;
    RETURN (SELECT count(*) FROM replay.event);
END
$function$;

-- A quantile of a service's history, asked for anew once an hour of the log: a caller would not ask at every call.
CREATE FUNCTION replay.from_history(p_service text, p_at timestamptz, p_quantile numeric)
RETURNS numeric
LANGUAGE plpgsql
AS $function$
DECLARE
    v_history replay.history;
BEGIN
    SELECT h.* INTO v_history FROM replay.history AS h WHERE h.service = p_service;
    IF v_history.estimate IS NULL OR v_history.asked_at <= p_at - interval '1 hour' THEN
        v_history.estimate := h.estimate FROM budget.estimate_from_history(p_service, p_quantile) AS h;
        INSERT INTO replay.history AS h (service, asked_at, estimate)
        VALUES (p_service, p_at, v_history.estimate)
        ON CONFLICT (service) DO UPDATE SET asked_at = excluded.asked_at, estimate = excluded.estimate;
    END IF;
    RETURN v_history.estimate;
END
$function$;

-- Lives through some of the events, each at its own time. A call that is refused is not made, and is not tried again.
CREATE FUNCTION replay.run(p_first integer, p_last integer, p_rule text, p_quantile numeric, p_first_estimate numeric)
RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    v record;
    v_estimate numeric;
BEGIN
    FOR v IN
        SELECT e.at, e.begins, c.line, lpad(to_hex(c.line), 32, '0')::uuid AS id, c.service, c.logged, c.tier, c.tokens, c.actual
        FROM replay.event AS e
        INNER JOIN replay.call AS c ON c.line = e.line
        WHERE e.n BETWEEN p_first AND p_last
        ORDER BY e.n
    LOOP
        PERFORM set_config('replay.now', v.at::text, false);
        IF v.begins THEN
            v_estimate := CASE p_rule
                WHEN 'logged' THEN v.logged
                WHEN 'tier' THEN v.tier
                WHEN 'tokens' THEN v.tokens
                ELSE coalesce(
                    replay.from_history(v.service, v.at, p_quantile), p_first_estimate, v.logged, v.tokens, v.tier
                )
            END;
            INSERT INTO replay.answer (line, estimate, can_proceed, reason, current_total, resets_at, retry_at, expires_at)
            SELECT v.line, v_estimate, r.can_proceed, r.reason, r.current_total, r.resets_at, r.retry_at, r.expires_at
            FROM budget.reserve_advisory(v_estimate, v.service, '{}', v.id) AS r;
        ELSIF (SELECT a.can_proceed FROM replay.answer AS a WHERE a.line = v.line) THEN
            IF v.actual IS NULL THEN
                UPDATE replay.answer AS a SET late = o.late FROM budget.cancel(v.id) AS o WHERE a.line = v.line;
            ELSE
                UPDATE replay.answer AS a SET late = o.late FROM budget.settle(v.id, v.actual) AS o WHERE a.line = v.line;
            END IF;
        END IF;
    END LOOP;
END
$function$;
