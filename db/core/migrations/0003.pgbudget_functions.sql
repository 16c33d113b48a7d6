-- depends: 0002.pgbudget_tables
-- All functions and views but the one that the application calls by name, compiled from the files that are named. Takes
-- no lock on a table of the application.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._note_found();
END
$do$;

-- begin functions/_internal/_now.sql
-- The one clock. Tests replace this function to move time; production has no other way to do so.
CREATE OR REPLACE FUNCTION budget._now()
RETURNS timestamptz
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN clock_timestamp();
END
$function$;

REVOKE ALL ON FUNCTION budget._now() FROM PUBLIC;
COMMENT ON FUNCTION budget._now() IS 'The clock that every rule reads.';
-- end functions/_internal/_now.sql

-- begin functions/_internal/_iso.sql
-- JSON keeps instants as text, in UTC, so that no caller's TimeZone shows in a stored row. Adding what has passed since
-- 1970 to a timestamp asks no time zone, and so TimeZone need not be pinned as it is in budget._window.
CREATE OR REPLACE FUNCTION budget._iso(p_at timestamptz)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN CASE
        WHEN isfinite(p_at)
            THEN to_char(
                timestamp '1970-01-01 00:00:00' + (p_at - timestamptz '1970-01-01 00:00:00+00'),
                'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            )
    END;
END
$function$;

REVOKE ALL ON FUNCTION budget._iso(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._iso(timestamptz) IS 'An instant as ISO 8601 text in UTC.';
-- end functions/_internal/_iso.sql

-- begin functions/_internal/_money.sql
-- Money is stored with at most 12 decimals, rounded up: a float's tail is harmless, and nothing positive becomes free.
CREATE OR REPLACE FUNCTION budget._money(p_amount numeric, p_argument text)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric := p_amount;
BEGIN
    IF p_amount IS NULL THEN
        RAISE EXCEPTION '% must not be null', p_argument
            USING ERRCODE = '22023', DETAIL = 'The amount is null.', HINT = 'Give an amount of 0 or more.';
    END IF;
    -- NaN sorts above every number, so the upper bound catches it and both infinities fall outside too.
    IF p_amount >= 0 AND p_amount < 1e15 THEN
        IF scale(p_amount) > 12 THEN
            v_amount := trim_scale(ceil(p_amount * 1e12) * 1e-12);
        END IF;
        IF v_amount < 1e15 THEN
            RETURN v_amount;
        END IF;
    END IF;
    RAISE EXCEPTION '% is out of range', p_argument
        USING ERRCODE = '22003',
        DETAIL = format('The amount is %s.', p_amount),
        HINT = 'An amount is at least 0 and below 1e15, in the currency of the limits.';
END
$function$;

REVOKE ALL ON FUNCTION budget._money(numeric, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._money(numeric, text) IS
'An amount as it is stored: checked, and rounded up to 12 decimals. Errors: 22023 null, 22003 out of range.';
-- end functions/_internal/_money.sql

-- begin functions/_internal/_service_name.sql
CREATE OR REPLACE FUNCTION budget._service_name(p_service_name text)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF char_length(p_service_name) BETWEEN 1 AND 200 THEN
        RETURN p_service_name;
    END IF;
    RAISE EXCEPTION 'p_service_name must have 1 to 200 characters'
        USING ERRCODE = '22023',
        DETAIL = CASE
            WHEN p_service_name IS NULL THEN 'The name is null.'
            ELSE format('The name has %s characters.', char_length(p_service_name))
        END,
        HINT = 'Name the service that spends the money, for example ''manager-routing''.';
END
$function$;

REVOKE ALL ON FUNCTION budget._service_name(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._service_name(text) IS 'A checked service name. Errors: 22023.';
-- end functions/_internal/_service_name.sql

-- begin functions/_internal/_metadata.sql
CREATE OR REPLACE FUNCTION budget._metadata(p_metadata jsonb, p_argument text DEFAULT 'p_metadata')
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_metadata IS NULL THEN
        RETURN '{}'::jsonb;
    END IF;
    IF jsonb_typeof(p_metadata) <> 'object' THEN
        RAISE EXCEPTION '% must be a JSON object', p_argument
            USING ERRCODE = '22023',
            DETAIL = format('It is of type %s.', jsonb_typeof(p_metadata)),
            HINT = 'Wrap the value, for example {"value": ...}.';
    END IF;
    IF octet_length(p_metadata::text) > 65536 THEN
        RAISE EXCEPTION '% must not be larger than 64 KiB', p_argument
            USING ERRCODE = '22023',
            DETAIL = format('It has %s bytes.', octet_length(p_metadata::text)),
            HINT = 'Store the large value elsewhere and keep its key here.';
    END IF;
    RETURN p_metadata;
END
$function$;

REVOKE ALL ON FUNCTION budget._metadata(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._metadata(jsonb, text) IS 'Checked metadata; null stands for {}. Errors: 22023.';
-- end functions/_internal/_metadata.sql

-- begin functions/_internal/_ttl.sql
-- Counted in seconds, because an interval of '1 day' is 25 hours long on some days.
CREATE OR REPLACE FUNCTION budget._ttl(p_ttl interval)
RETURNS interval
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_seconds numeric := extract(EPOCH FROM p_ttl);
BEGIN
    IF v_seconds > 0 AND v_seconds <= 86400 THEN
        RETURN make_interval(secs => v_seconds::double precision);
    END IF;
    RAISE EXCEPTION 'a time to live must be more than 0 and at most 24 hours'
        USING ERRCODE = '22023',
        DETAIL = format('It is %s.', coalesce(p_ttl::text, 'null')),
        HINT = 'For a longer call, extend the hold while it runs.';
END
$function$;

REVOKE ALL ON FUNCTION budget._ttl(interval) FROM PUBLIC;
COMMENT ON FUNCTION budget._ttl(interval) IS 'A checked time to live, as exact seconds. Errors: 22023.';
-- end functions/_internal/_ttl.sql

-- begin functions/_internal/_day_start.sql
-- A day begins at the earliest instant whose local date is that day. Where a zone repeats its midnight, AT TIME ZONE
-- answers with the second of the two; the first is found with the offset that was in force the day before.
-- The arithmetic is done in UTC: adding days to a timestamptz would follow the caller's TimeZone,
-- which is pinned for the sake of AT TIME ZONE: see budget._window.
CREATE OR REPLACE FUNCTION budget._day_start(p_day date, p_zone text)
RETURNS timestamptz
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_midnight timestamp := p_day::timestamp;
    v_last timestamptz := v_midnight AT TIME ZONE p_zone;
    v_eve timestamp := (v_last AT TIME ZONE 'UTC') - interval '24 hours';
    v_eve_offset interval := ((v_eve AT TIME ZONE 'UTC') AT TIME ZONE p_zone) - v_eve;
    v_first timestamptz := (v_midnight - v_eve_offset) AT TIME ZONE 'UTC';
BEGIN
    IF v_first < v_last AND v_first AT TIME ZONE p_zone = v_midnight THEN
        RETURN v_first;
    END IF;
    RETURN v_last;
END
$function$;

REVOKE ALL ON FUNCTION budget._day_start(date, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._day_start(date, text) IS 'The earliest instant whose date in the zone is this day.';
-- end functions/_internal/_day_start.sql

-- begin functions/_internal/_has_day.sql
-- Around these instants, too, days and months can be counted, and every client has a value for their bounds.
CREATE OR REPLACE FUNCTION budget._has_day(p_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN p_at >= timestamptz '0002-01-01 00:00:00+00' AND p_at < timestamptz '9999-01-01 00:00:00+00';
END
$function$;

REVOKE ALL ON FUNCTION budget._has_day(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._has_day(timestamptz) IS
'Is the instant of the years 2 to 9998? What a direct writer dates otherwise, infinity among it, is on no day.';
-- end functions/_internal/_has_day.sql

-- begin functions/_internal/_window.sql
-- TimeZone is pinned here and wherever else AT TIME ZONE is used: from PostgreSQL 18 on the session's own zone is asked
-- first what an abbreviation means, and under TimeZone 'UTC-14' even 'UTC' means another day.
CREATE OR REPLACE FUNCTION budget._window(
    p_at timestamptz,
    p_zone text,
    OUT day date,
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
    v_midnight timestamp;
BEGIN
    IF budget._has_day(p_at) IS NOT TRUE THEN
        RETURN; -- a direct writer's 'infinity' is on no day
    END IF;
    v_midnight := date_trunc('day', p_at AT TIME ZONE p_zone);
    day := v_midnight::date;
    starts_at := v_midnight AT TIME ZONE p_zone;
    ends_at := (v_midnight + interval '1 day') AT TIME ZONE p_zone;
    -- Most days: no clock was changed between the midnight before this day and the one after it.
    IF ends_at - starts_at = interval '24 hours'
        AND (starts_at - interval '24 hours') AT TIME ZONE p_zone = v_midnight - interval '1 day'
    THEN
        RETURN;
    END IF;
    starts_at := budget._day_start(day, p_zone);
    ends_at := budget._day_start(day + 1, p_zone);
    -- Where clocks go back across midnight, the old date shows again after the new day has begun.
    IF p_at >= ends_at THEN
        day := day + 1;
        starts_at := ends_at;
        ends_at := budget._day_start(day + 1, p_zone);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._window(timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._window(timestamptz, text) TO budget_reader;
COMMENT ON FUNCTION budget._window(timestamptz, text) IS
'The day that an instant belongs to, and its bounds: starts_at <= instant < ends_at. NULL where it is on no day.';
-- end functions/_internal/_window.sql

-- begin functions/_internal/_zone.sql
-- AT TIME ZONE also takes POSIX strings such as UTC+3, which mean the opposite of what they seem to say; a zone is
-- therefore held to the shape of a name first: digits stand in few names, and in every POSIX string.
-- pg_timezone_names would be exact, but reads every zone file. Refused are abbreviations, too, that the setting
-- timezone_abbreviations can give another meaning: a caller would choose the day with it. And so are the names of zones
-- that AT TIME ZONE takes for an abbreviation instead, which has no summer time.
CREATE OR REPLACE FUNCTION budget._zone(p_zone text)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
BEGIN
    -- Where the server knows no zone of the name, AT TIME ZONE says so.
    IF (
        p_zone ~ '^[A-Za-z_/-]+$'
        OR p_zone ~ '^((Etc/)?GMT[+-]?0|Etc/GMT[+]([1-9]|1[0-2])|Etc/GMT-([1-9]|1[0-4]))$'
        OR p_zone IN ('EST5EDT', 'CST6CDT', 'MST7MDT', 'PST8PDT')
    )
        AND upper(p_zone) NOT IN ('CST', 'EAST', 'EST', 'IST', 'SAST', 'SAT', 'WST', 'CET', 'EET', 'MET', 'WET')
        AND timestamp '2000-01-01 00:00:00' AT TIME ZONE p_zone IS NOT NULL
    THEN
        RETURN p_zone;
    END IF;
    RAISE EXCEPTION
        'timezone must be the full name of a time zone, such as Europe/Berlin, not %', coalesce(p_zone, 'null')
        USING ERRCODE = 'PB005';
END
$function$;

REVOKE ALL ON FUNCTION budget._zone(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._zone(text) IS
'A time zone that the server knows by name. Errors: PB005, and 22023 where the server knows none of that name.';
-- end functions/_internal/_zone.sql

-- begin functions/_internal/_parse_config.sql
-- The defaults of the keys that have one stand here and nowhere else. A value that breaks a rule leaves them in place
-- and says so in error: whoever decides must refuse then, whoever only records can go on (UTC day, no limit known).
-- Every reservation comes through here, and PL/pgSQL makes each expression ready anew in each transaction: few wide
-- expressions are cheaper than many small ones.
CREATE OR REPLACE FUNCTION budget._parse_config(p_value text)
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_default budget._config := ROW(
        NULL, NULL, NULL, 'UTC', interval '1 hour', 'release', jsonb '["architect"]', NULL, NULL
    )::budget._config;
    v_config budget._config;
    v_limits jsonb;
BEGIN
    v_limits := p_value::jsonb;
    v_default.error := CASE
        WHEN v_limits IS NULL THEN 'system_config has no row with the key budget_limits'
        WHEN jsonb_typeof(v_limits) <> 'object' THEN 'budget_limits must be a JSON object'
        WHEN NOT v_limits ? 'emergency_kill' THEN 'emergency_kill is missing'
        WHEN jsonb_typeof(v_limits -> 'daily_soft_cap') <> 'number' THEN 'daily_soft_cap must be a number'
        WHEN jsonb_typeof(v_limits -> 'daily_hard_cap') <> 'number' THEN 'daily_hard_cap must be a number'
        WHEN jsonb_typeof(v_limits -> 'emergency_kill') <> 'number' THEN 'emergency_kill must be a number'
        WHEN jsonb_typeof(v_limits -> 'timezone') <> 'string' THEN 'timezone must be the full name of a time zone'
        WHEN jsonb_typeof(v_limits -> 'reservation_ttl') <> 'string' THEN 'reservation_ttl must be text such as "1 hour"'
        WHEN v_limits -> 'on_expiry' NOT IN ('"release"', '"keep"') THEN 'on_expiry must be "release" or "keep"'
        WHEN v_limits @@ '$.exempt_services.type() != "array" || $.exempt_services[*].type() != "string"'
            THEN 'exempt_services must be an array of service names'
    END;
    IF v_default.error IS NOT NULL THEN
        RETURN v_default;
    END IF;
    v_config := ROW(
        (v_limits ->> 'daily_soft_cap')::numeric,
        (v_limits ->> 'daily_hard_cap')::numeric,
        (v_limits ->> 'emergency_kill')::numeric,
        budget._zone(coalesce(v_limits ->> 'timezone', v_default.timezone)),
        budget._ttl(coalesce((v_limits ->> 'reservation_ttl')::interval, v_default.reservation_ttl)),
        coalesce(v_limits ->> 'on_expiry', v_default.on_expiry),
        coalesce(v_limits -> 'exempt_services', v_default.exempt_services),
        NULL,
        NULL
    )::budget._config;
    v_default.error := CASE
        WHEN least(v_config.daily_soft_cap, v_config.daily_hard_cap, v_config.emergency_kill) < 0
            OR greatest(v_config.daily_soft_cap, v_config.daily_hard_cap, v_config.emergency_kill) >= 1e15
            THEN 'a limit must be at least 0 and below 1e15'
        WHEN v_config.daily_soft_cap > coalesce(v_config.daily_hard_cap, v_config.emergency_kill)
            OR v_config.daily_hard_cap > v_config.emergency_kill
            THEN 'the limits must be ordered: daily_soft_cap <= daily_hard_cap <= emergency_kill'
    END;
    IF v_default.error IS NOT NULL THEN
        RETURN v_default;
    END IF;
    RETURN v_config;
EXCEPTION
    WHEN SQLSTATE 'PB005' OR data_exception THEN
        v_default.error := SQLERRM;
        RETURN v_default;
END
$function$;

REVOKE ALL ON FUNCTION budget._parse_config(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._parse_config(text) IS
'The value of the row budget_limits as a record. error is NULL when every rule of the configuration holds, else it names
the first broken one.';
-- end functions/_internal/_parse_config.sql

-- begin functions/_internal/_read_config.sql
CREATE OR REPLACE FUNCTION budget._read_config()
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_value text;
    v_frozen boolean;
    v_config budget._config;
BEGIN
    -- The row's presence freezes, whatever it holds: a damaged kill switch stays on.
    SELECT
        (SELECT c.value FROM public.system_config AS c WHERE c.key = 'budget_limits'),
        EXISTS (SELECT FROM public.system_config AS c WHERE c.key = 'budget_freeze')
    INTO v_value, v_frozen;
    v_config := budget._parse_config(v_value);
    v_config.frozen := v_frozen;
    RETURN v_config;
END
$function$;

REVOKE ALL ON FUNCTION budget._read_config() FROM PUBLIC;
COMMENT ON FUNCTION budget._read_config() IS
'The limits and the freeze as they stand in system_config now. Never fails.';
-- end functions/_internal/_read_config.sql

-- begin functions/_internal/_require_config.sql
-- Fail closed: whoever decides about money needs limits that hold.
CREATE OR REPLACE FUNCTION budget._require_config()
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_config budget._config := budget._read_config();
BEGIN
    IF v_config.error IS NOT NULL THEN
        RAISE EXCEPTION 'the budget configuration is broken: nothing can be reserved'
            USING ERRCODE = 'PB005',
            DETAIL = v_config.error,
            HINT = 'Mend it with budget.set_limits(...) or in system_config, key budget_limits.';
    END IF;
    RETURN v_config;
END
$function$;

REVOKE ALL ON FUNCTION budget._require_config() FROM PUBLIC;
COMMENT ON FUNCTION budget._require_config() IS 'The limits in force. Errors: PB005 when the configuration is broken.';
-- end functions/_internal/_require_config.sql

-- begin functions/_internal/_begin_decision.sql
-- At any higher level the transaction's snapshot is older than the lock, and the sum taken under it is stale.
CREATE OR REPLACE FUNCTION budget._begin_decision()
RETURNS text
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'budget decisions need the isolation level READ COMMITTED'
            USING ERRCODE = 'PB001',
            DETAIL = format('This transaction runs at %s.', upper(current_setting('transaction_isolation'))),
            HINT = 'Call it in a transaction of its own, begun with BEGIN ISOLATION LEVEL READ COMMITTED.';
    END IF;
    RETURN budget._begin_write();
END
$function$;

REVOKE ALL ON FUNCTION budget._begin_decision() FROM PUBLIC;
COMMENT ON FUNCTION budget._begin_decision() IS
'What budget._begin_write does, for whoever is going to decide. Errors: PB001 at any level but READ COMMITTED.';
-- end functions/_internal/_begin_decision.sql

-- begin functions/_internal/_begin_write.sql
-- Both settings are made for the transaction, not for the function: a setting that ends with the function would be
-- gone before the commit that it is to protect.
CREATE OR REPLACE FUNCTION budget._begin_write()
RETURNS text
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_lock_timeout text := current_setting('lock_timeout');
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        SET LOCAL synchronous_commit = on;
    END IF;
    IF v_lock_timeout = '0' OR v_lock_timeout::interval > interval '5 seconds' THEN
        SET LOCAL lock_timeout = '5s';
    END IF;
    RETURN v_lock_timeout;
END
$function$;

REVOKE ALL ON FUNCTION budget._begin_write() FROM PUBLIC;
COMMENT ON FUNCTION budget._begin_write() IS
'Makes the commit durable and bounds each wait for a lock to 5 s or the caller''s own lock_timeout if that is shorter.
Returns the caller''s lock_timeout, for budget._end_write.';
-- end functions/_internal/_begin_write.sql

-- begin functions/_internal/_end_write.sql
CREATE OR REPLACE FUNCTION budget._end_write(p_lock_timeout text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM set_config('lock_timeout', p_lock_timeout, true);
END
$function$;

REVOKE ALL ON FUNCTION budget._end_write(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._end_write(text) IS 'Gives the caller its lock_timeout back.';
-- end functions/_internal/_end_write.sql

-- begin interim/_serialise.sql
-- While an index of the ledger is built or dropped, both variants serialise on the advisory lock: who waits for a table
-- lock holds a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn. The advisory lock comes first here: without
-- the index a sum takes long, and whoever waits for his turn must not keep the table's lock meanwhile.
CREATE OR REPLACE FUNCTION budget._serialise(
    p_lock text,
    p_postings budget._posting[],
    OUT decided_at timestamptz,
    OUT config budget._config
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock(8099550711184319860);
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    decided_at := budget._now();
    config := budget._require_config();
END
$function$;

REVOKE ALL ON FUNCTION budget._serialise(text, budget._posting[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._serialise(text, budget._posting[]) IS
'Takes the transaction-level advisory lock 8099550711184319860 and ROW EXCLUSIVE on the ledger, whatever p_lock says,
until the end of the transaction. Returns the instant of the decision and the limits in force, both read under the locks.
Errors: PB005; 55P03.';
-- end interim/_serialise.sql

-- begin functions/_internal/_counted.sql
CREATE OR REPLACE FUNCTION budget._counted(p_config budget._config, p_now timestamptz, p_row public.cost_tracking)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_row.expires_at <= p_now AND p_config.on_expiry = 'release' THEN
        RETURN 0::numeric;
    END IF;
    RETURN coalesce(p_row.cost, 0);
END
$function$;

REVOKE ALL ON FUNCTION budget._counted(budget._config, timestamptz, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._counted(budget._config, timestamptz, public.cost_tracking) IS
'What a ledger row counts in its window at this instant; 0 for no row.';
-- end functions/_internal/_counted.sql

-- begin functions/_internal/_member.sql
-- A member is its text: the JSON numbers 7 and 7.0 and the string "7" are one, the string "7.0" is another.
-- An index holds no key of any length, so that long values are told apart by their hash.
CREATE OR REPLACE FUNCTION budget._member(p_dimension text, p_service_name text, p_request jsonb)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_member text := CASE p_dimension
        WHEN '*' THEN '*'
        WHEN 'service' THEN p_service_name
        ELSE CASE jsonb_typeof(p_request -> p_dimension)
            WHEN 'number' THEN trim_scale((p_request -> p_dimension)::numeric)::text
            ELSE p_request ->> p_dimension
        END
    END;
BEGIN
    RETURN CASE WHEN char_length(v_member) > 200 THEN left(v_member, 168) || md5(v_member) ELSE v_member END;
END
$function$;

REVOKE ALL ON FUNCTION budget._member(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._member(text, text, jsonb) IS
'Whose spend it is in a dimension: everybody''s (*), its service''s (service), or that of the value of a top-level key
of the request''s metadata, as text; NULL when it has no such key.';
-- end functions/_internal/_member.sql

-- begin functions/_internal/_request.sql
CREATE OR REPLACE FUNCTION budget._request(p_metadata jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coalesce(p_metadata -> 'original_metadata', p_metadata);
END
$function$;

REVOKE ALL ON FUNCTION budget._request(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._request(jsonb) IS
'The metadata that a ledger row was asked for with: a direct writer''s row holds them as they are.';
-- end functions/_internal/_request.sql

-- begin functions/_internal/_freed.sql
-- Asked only for a refusal, to explain it: the way to a grant needs no look at single holds. They are read in the order
-- in which they lapse, and no further than to the one that frees enough. A cursor is planned for the first rows of its
-- answer: an index on that order, where there is one, is used however many holds the planner takes to be open.
CREATE OR REPLACE FUNCTION budget._freed(
    p_amount numeric,
    p_now timestamptz,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_except_id uuid,
    p_on_expiry text,
    p_dimension text,
    p_member text,
    OUT is_enough boolean,
    OUT enough_at timestamptz
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET cursor_tuple_fraction = 0.001
AS $function$
DECLARE
    c_holds CURSOR FOR
        SELECT l.expires_at, l.cost
        FROM public.cost_tracking AS l
        WHERE
            l.created_at >= p_starts_at
            AND l.created_at < p_ends_at
            AND isfinite(l.created_at)
            AND l.expires_at > p_now
            AND l.id IS DISTINCT FROM p_except_id
            AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member
        ORDER BY l.expires_at;
    v_freed numeric := 0;
BEGIN
    is_enough := false;
    FOR v_hold IN c_holds LOOP
        v_freed := v_freed + v_hold.cost;
        IF v_freed >= p_amount THEN
            is_enough := true;
            -- A hold that is kept when it lapses frees nothing by lapsing.
            enough_at := CASE p_on_expiry WHEN 'release' THEN v_hold.expires_at END;
            RETURN;
        END IF;
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._freed(
    numeric, timestamptz, timestamptz, timestamptz, uuid, text, text, text
) FROM PUBLIC;
COMMENT ON FUNCTION budget._freed(
    numeric, timestamptz, timestamptz, timestamptz, uuid, text, text, text
) IS
'Whether the other open holds of a member in a window hold the amount together, and the earliest instant at which enough
of them have lapsed to free it; NULL if that never is.';
-- end functions/_internal/_freed.sql

-- begin functions/_internal/_headroom.sql
-- Settled rows have no expires_at, so that one index range and no look into the metadata gives the day. A lapsed hold
-- counts nothing from its instant, unless lapsing means spending.
-- One plan serves every day. Left to itself, PostgreSQL guesses that the day is a fixed share of the ledger, finds that
-- dear once the ledger is large, and plans the sum anew in every call.
CREATE OR REPLACE FUNCTION budget._headroom(
    p_config budget._config,
    p_amount numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_hold public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_generic_plan'
AS $function$
DECLARE
    -- Holds that lapse up to this instant count nothing.
    v_lapsed timestamptz := CASE p_config.on_expiry WHEN 'keep' THEN '-infinity' ELSE p_now END;
    v_window record := budget._window(coalesce(p_hold.created_at, p_now), p_config.timezone);
    v_counted numeric := CASE WHEN p_hold.id IS NULL THEN 0 ELSE budget._counted(p_config, p_now, p_hold) END;
    v_missing numeric;
    v_freed record;
    v_verdict budget.verdict;
BEGIN
    v_verdict.budget := 'daily';
    v_verdict.limit_amount := p_config.emergency_kill;
    v_verdict.resets_at := v_window.ends_at;

    SELECT coalesce(sum(l.cost), 0)
    INTO v_verdict.current_total
    FROM public.cost_tracking AS l
    WHERE
        l.created_at >= v_window.starts_at
        AND l.created_at < v_window.ends_at
        AND (l.expires_at IS NULL OR l.expires_at > v_lapsed);
    v_verdict.remaining := v_verdict.limit_amount - v_verdict.current_total;

    -- A hold that is extended gives back what it counts already, and one that asks for no more takes from nobody.
    v_missing := p_amount - v_counted - v_verdict.remaining;
    v_verdict.can_proceed := v_missing <= 0 OR (p_hold.id IS NOT NULL AND p_amount <= v_counted);
    IF v_verdict.can_proceed THEN
        v_verdict.reason := 'granted';
    ELSIF p_amount > v_verdict.limit_amount THEN
        v_verdict.reason := 'too_large';
    ELSE
        v_freed := budget._freed(
            v_missing, p_now, v_window.starts_at, v_window.ends_at, p_hold.id, p_config.on_expiry, '*', '*'
        );
        v_verdict.reason := CASE WHEN v_freed.is_enough THEN 'in_flight' ELSE 'exhausted' END;
        -- Of a window that has ended there is no reset to wait for.
        v_verdict.retry_at := least(
            CASE WHEN v_verdict.resets_at > p_now THEN v_verdict.resets_at END, v_freed.enough_at
        );
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._headroom(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._headroom(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'Is there room for the amount? For a new hold (p_hold null) in the window of p_now, for a hold that is extended in its
own window, where its amount counts once. Service and metadata choose the budget in series that have many.';
-- end functions/_internal/_headroom.sql

-- begin functions/_internal/_decide.sql
CREATE OR REPLACE FUNCTION budget._decide(
    p_config budget._config,
    p_amount numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_hold public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_verdict budget.verdict := budget._headroom(p_config, p_amount, p_service_name, p_metadata, p_now, p_hold);
BEGIN
    IF p_config.frozen THEN
        v_verdict.can_proceed := false;
        v_verdict.reason := 'frozen';
        v_verdict.retry_at := NULL;
    ELSIF p_config.exempt_services ? p_service_name THEN
        v_verdict.can_proceed := true;
        v_verdict.reason := 'granted';
        v_verdict.retry_at := NULL;
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._decide(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._decide(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'The verdict on an amount: the headroom, the freeze that refuses everyone, and the services that no limit refuses.';
-- end functions/_internal/_decide.sql

-- begin functions/_internal/_replay.sql
CREATE OR REPLACE FUNCTION budget._replay(
    p_config budget._config,
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_row public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_first jsonb := jsonb_build_object(
        'estimated_cost', p_row.metadata -> 'requested_cost',
        'service_name', p_row.service_name,
        'metadata', p_row.metadata -> 'original_metadata'
    );
    v_now jsonb := jsonb_build_object(
        'estimated_cost', p_estimate::text,
        'service_name', p_service_name,
        'metadata', p_metadata
    );
    v_verdict budget.verdict;
BEGIN
    IF (p_row.metadata ->> 'requested_cost')::numeric IS DISTINCT FROM p_estimate
        OR v_first - 'estimated_cost' <> v_now - 'estimated_cost'
    THEN
        RAISE EXCEPTION 'the reservation id % was used before with other arguments', p_row.id
            USING ERRCODE = 'PB003',
            DETAIL = format('First: %s. Now: %s.', v_first, v_now),
            HINT = 'Repeat a reservation with the arguments it was made with, or take a new id.';
    END IF;
    v_verdict := budget._headroom(p_config, 0, p_service_name, p_metadata, p_now, p_row);
    v_verdict.can_proceed := coalesce(p_row.expires_at > p_now, false);
    v_verdict.reason := CASE WHEN v_verdict.can_proceed THEN 'replayed' ELSE 'ended' END;
    v_verdict.retry_at := NULL;
    IF v_verdict.can_proceed THEN
        v_verdict.reservation_id := p_row.id;
        v_verdict.expires_at := p_row.expires_at;
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._replay(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._replay(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'The verdict on an id that is in the ledger already: replayed while its hold is open, else ended. Errors: PB003.';
-- end functions/_internal/_replay.sql

-- begin functions/_internal/_hold_metadata.sql
CREATE OR REPLACE FUNCTION budget._hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamptz)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN jsonb_build_object(
        'type', 'reservation',
        'original_metadata', p_metadata,
        'requested_cost', p_estimate::text,
        'estimated_cost', p_estimate::text,
        'reserved_at', budget._iso(p_now)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._hold_metadata(numeric, jsonb, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._hold_metadata(numeric, jsonb, timestamptz) IS 'The metadata that a hold begins with.';
-- end functions/_internal/_hold_metadata.sql

-- begin functions/_internal/_require_kept.sql
-- Triggers of the application's run between a statement of ours and the ledger. Keys that they add to the metadata are
-- theirs.
CREATE OR REPLACE FUNCTION budget._require_kept(p_asked public.cost_tracking, p_row public.cost_tracking)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_triggers text;
BEGIN
    IF (p_row.id, p_row.service_name, p_row.cost, p_row.created_at, p_row.metadata || p_asked.metadata)
        = (p_asked.id, p_asked.service_name, p_asked.cost, p_asked.created_at, p_row.metadata)
        AND p_row.expires_at IS NOT DISTINCT FROM p_asked.expires_at
    THEN
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(t.tgname), ', ' ORDER BY t.tgname)
    INTO v_triggers
    FROM pg_trigger AS t
    INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
    WHERE
        t.tgrelid = 'public.cost_tracking'::regclass
        AND NOT t.tgisinternal
        AND p.pronamespace <> 'budget'::regnamespace;
    RAISE EXCEPTION 'the ledger did not keep the row % as it was written', p_asked.id
        USING ERRCODE = 'PB006',
        DETAIL = format(
            'Written: service %s, cost %s, at %s. Kept: %s. The triggers of the application on public.cost_tracking: %s.',
            p_asked.service_name, p_asked.cost, budget._iso(p_asked.created_at),
            CASE
                WHEN p_row.id IS NULL THEN 'nothing'
                ELSE format(
                    'id %s, service %s, cost %s, at %s, type %s', p_row.id, p_row.service_name, p_row.cost,
                    budget._iso(p_row.created_at), p_row.metadata ->> 'type'
                )
            END,
            coalesce(v_triggers, 'none')
        ),
        HINT = 'Nothing was changed. No trigger may swallow, move or change the rows of holds and spend: drop it, or let it '
            'pass rows by whose metadata has a type.';
END
$function$;

REVOKE ALL ON FUNCTION budget._require_kept(public.cost_tracking, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._require_kept(public.cost_tracking, public.cost_tracking) IS
'Errors: PB006 unless the ledger has the row as it was written; of its metadata, the keys that were written.';
-- end functions/_internal/_require_kept.sql

-- begin functions/_internal/_is_taken.sql
-- Asked after an insert that ON CONFLICT let go by. A row in a child table is one that a trigger has moved there.
CREATE OR REPLACE FUNCTION budget._is_taken(p_id uuid)
RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN EXISTS (SELECT FROM ONLY public.cost_tracking AS l WHERE l.id = p_id)
        -- Or it was taken, and is free again; unless there is a trigger that may have swallowed the row.
        OR NOT EXISTS (
            SELECT
            FROM pg_trigger AS t
            INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
            WHERE
                t.tgrelid = 'public.cost_tracking'::regclass
                AND t.tgtype & 7 = 7 -- BEFORE INSERT FOR EACH ROW
                AND p.pronamespace <> 'budget'::regnamespace
        );
END
$function$;

REVOKE ALL ON FUNCTION budget._is_taken(uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._is_taken(uuid) IS
'Was a row with this id not inserted because another has the id, or had it until now? Else a trigger swallowed it.';
-- end functions/_internal/_is_taken.sql

-- begin functions/_internal/_insert_hold.sql
CREATE OR REPLACE FUNCTION budget._insert_hold(
    p_id uuid,
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_expires_at timestamptz
)
RETURNS uuid
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_asked public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    v_asked.id := p_id;
    v_asked.service_name := p_service_name;
    v_asked.cost := p_estimate;
    v_asked.metadata := budget._hold_metadata(p_estimate, p_metadata, p_now);
    v_asked.created_at := p_now;
    v_asked.expires_at := p_expires_at;
    INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at, expires_at)
    VALUES (p_id, p_service_name, p_estimate, v_asked.metadata, p_now, p_expires_at)
    ON CONFLICT (id) DO NOTHING
    RETURNING l.* INTO v_row;
    IF NOT FOUND AND budget._is_taken(p_id) THEN
        RETURN NULL;
    END IF;
    PERFORM budget._require_kept(v_asked, v_row);
    RETURN p_id;
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_hold(uuid, numeric, text, jsonb, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_hold(uuid, numeric, text, jsonb, timestamptz, timestamptz) IS
'Writes a hold into the ledger and returns its id; NULL when a row with this id is there. Errors: PB006.';
-- end functions/_internal/_insert_hold.sql

-- begin functions/_internal/_write_escalation.sql
CREATE OR REPLACE FUNCTION budget._write_escalation(
    p_id uuid,
    p_kind text,
    p_severity text,
    p_component text,
    p_operation text,
    p_reason text,
    p_context jsonb,
    p_work_order_id uuid,
    p_status text
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_now timestamptz := budget._now();
BEGIN
    INSERT INTO public.escalations (
        id, work_order_id, trigger_type, reason, context, status, resolved_at, created_at, updated_at
    )
    VALUES (
        p_id,
        -- A work order that is not in the table has its id in the context alone: the key would refuse it.
        (SELECT w.id FROM public.work_orders AS w WHERE w.id = p_work_order_id),
        p_kind,
        p_reason,
        p_context || jsonb_build_object(
            'severity', p_severity,
            'component', p_component,
            'operation', p_operation,
            'error', p_reason,
            'work_order_id', p_work_order_id
        ),
        p_status,
        CASE WHEN p_status = 'resolved' THEN v_now END,
        v_now,
        v_now
    )
    ON CONFLICT (id) DO NOTHING;
END
$function$;

REVOKE ALL ON FUNCTION budget._write_escalation(uuid, text, text, text, text, text, jsonb, uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._write_escalation(uuid, text, text, text, text, text, jsonb, uuid, text) IS
'Writes one row into public.escalations; an id that is there already is left as it is.';
-- end functions/_internal/_write_escalation.sql

-- begin functions/_internal/_escalate_once.sql
-- One escalation per kind, window and subject, without an index of its own: the id is derived from these, so that what
-- is told of a window, and of a budget in it, is a range of the primary key. Writers meet in a try-lock, so that nobody
-- ever waits for another's open transaction; whoever finds it taken leaves the escalation to its holder, and should
-- that one roll back, the next decision finds the same state and writes it. Nor does anybody count what others have not
-- committed: there may be more than are listed, by what is told in transactions that are open at once.
CREATE OR REPLACE FUNCTION budget._escalate_once(
    p_kind text,
    p_window text,
    p_budget text,
    p_subject text[],
    p_severity text,
    p_reason text,
    p_figures jsonb,
    p_work_order_id uuid,
    p_unlisted text
)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $function$
DECLARE
    c_listed CONSTANT integer := 1000;
    -- As JSON, in which each part stands by itself: callers choose some of them, and may put any sign between.
    v_of_window text := left(md5(jsonb_build_array('pgbudget', p_kind, p_window)::text), 8);
    v_of_budget text := v_of_window || left(md5(p_budget), 8);
    v_id uuid := (v_of_budget || left(md5(jsonb_build_array(p_work_order_id, p_subject)::text), 16))::uuid;
BEGIN
    IF EXISTS (SELECT FROM public.escalations AS e WHERE e.id = v_id) THEN
        RETURN false;
    END IF;
    IF p_unlisted IS NOT NULL
        -- In the order of the key, for which the plan is pinned to it: is the first row from there on, or the last of
        -- those that are listed, still one of these?
        AND (
            SELECT e.id
            FROM public.escalations AS e
            WHERE e.id >= rpad(v_of_budget, 32, '0')::uuid
            ORDER BY e.id
            LIMIT 1
        ) <= rpad(v_of_budget, 32, 'f')::uuid
        AND (
            SELECT e.id
            FROM public.escalations AS e
            WHERE e.id >= rpad(v_of_window, 32, '0')::uuid
            ORDER BY e.id
            LIMIT 1 OFFSET c_listed - 1
        ) <= rpad(v_of_window, 32, 'f')::uuid
    THEN
        RETURN budget._escalate_once(
            p_kind, p_window, '', '{*}', p_severity, format(p_unlisted, c_listed), '{}', NULL, NULL
        );
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended(v_id::text, 0)) THEN
        RETURN false;
    END IF;
    PERFORM budget._write_escalation(
        v_id, p_kind, p_severity, 'budget', p_kind, p_reason,
        jsonb_build_object('day', p_window, 'subject', p_subject[1]) || p_figures, p_work_order_id, 'pending'
    );
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_once(text, text, text, text[], text, text, jsonb, uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_once(text, text, text, text[], text, text, jsonb, uuid, text) IS
'Writes an escalation unless one of this kind, window, budget and subject is there; false then. The window is a day,
unless the figures have a day of their own. Of the subject, its first part is shown. With p_unlisted, 1000 are listed of
a kind and window, and the first of each budget in any case; the next one is that text, in which %s is that number.';
-- end functions/_internal/_escalate_once.sql

-- begin functions/_internal/_escalate_caps.sql
-- Judged by state, not by edge: spend that was written directly never crosses an edge that a function could see.
CREATE OR REPLACE FUNCTION budget._escalate_caps(
    p_config budget._config,
    p_total numeric,
    p_at timestamptz
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_day text;
    v_cap record;
BEGIN
    -- least() passes over the caps that are absent. The common case ends here.
    IF p_total IS NULL OR p_total < least(p_config.daily_soft_cap, p_config.daily_hard_cap, p_config.emergency_kill) THEN
        RETURN;
    END IF;
    v_day := to_char((budget._window(p_at, p_config.timezone)).day, 'YYYY-MM-DD');
    FOR v_cap IN
        SELECT *
        FROM (
            VALUES
            ('daily_soft_cap', p_config.daily_soft_cap, 'warning'),
            ('daily_hard_cap', p_config.daily_hard_cap, 'high'),
            ('emergency_kill', p_config.emergency_kill, 'critical')
        ) AS c (name, amount, severity)
        WHERE c.amount <= p_total
    LOOP
        PERFORM budget._escalate_once(
            'budget_' || v_cap.name, v_day, 'daily', ARRAY['daily'], v_cap.severity,
            format(
                'The day''s budget has reached its %s: settled and held %s, %s %s, limit %s.',
                v_cap.name, p_total, v_cap.name, v_cap.amount, p_config.emergency_kill
            ),
            jsonb_build_object(
                'current_total', p_total::text,
                'cap', v_cap.amount::text,
                'limit_amount', p_config.emergency_kill::text
            ),
            NULL,
            NULL
        );
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_caps(budget._config, numeric, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_caps(budget._config, numeric, timestamptz) IS
'One escalation per cap and day for a day whose total (settled and held) is at or above the cap.';
-- end functions/_internal/_escalate_caps.sql

-- begin functions/_internal/_escalate_refusal.sql
CREATE OR REPLACE FUNCTION budget._escalate_refusal(
    p_config budget._config,
    p_verdict budget.verdict,
    p_estimate numeric,
    p_service_name text,
    p_request jsonb,
    p_at timestamptz,
    p_work_order_id uuid
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_day text := to_char((budget._window(p_at, p_config.timezone)).day, 'YYYY-MM-DD');
    v_who text := coalesce('work order ' || p_work_order_id, p_service_name);
    v_member text := '*';
    v_budget text := 'Daily budget limit';
BEGIN
    IF p_verdict.budget <> 'daily' THEN
        -- In core there is no table of budgets.
        EXECUTE format(
            'SELECT budget._member(b.dimension, $1, $2) FROM %I.budgets AS b WHERE b.name = $3', 'budget'
        )
        INTO v_member
        USING p_service_name, p_request, p_verdict.budget;
        v_budget := format('Budget %s, member %s', p_verdict.budget, v_member);
    END IF;
    PERFORM budget._escalate_once(
        'budget_refused', v_day, p_verdict.budget, ARRAY[v_who, v_member], 'critical',
        format(
            '%s: %s was refused (%s). Settled and held %s, estimate %s, limit %s.',
            v_budget, v_who, p_verdict.reason, p_verdict.current_total, p_estimate, p_verdict.limit_amount
        ),
        jsonb_build_object(
            'verdict_reason', p_verdict.reason,
            'service_name', p_service_name,
            'budget', p_verdict.budget,
            'member', v_member,
            'current_total', p_verdict.current_total::text,
            'estimated_cost', p_estimate::text,
            'limit_amount', p_verdict.limit_amount::text,
            'remaining', p_verdict.remaining::text
        ),
        p_work_order_id,
        format(
            'The budget has refused %%s different services, work orders or members on %s. More of that day are not '
            'listed, but for the first refusal of each other budget.',
            v_day
        )
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_refusal(
    budget._config, budget.verdict, numeric, text, jsonb, timestamptz, uuid
) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_refusal(
    budget._config, budget.verdict, numeric, text, jsonb, timestamptz, uuid
) IS
'One escalation per service (or work order), budget, member and day for a refusal, with the figures behind it. After
1000 of a day one says that more are not listed.';
-- end functions/_internal/_escalate_refusal.sql

-- begin functions/_internal/_admit.sql
-- What comes between the decision lock and its end.
CREATE OR REPLACE FUNCTION budget._admit(
    p_config budget._config,
    p_estimate numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_reservation_id uuid,
    p_ttl interval,
    p_work_order_id uuid
)
RETURNS budget.verdict
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row public.cost_tracking;
    v_verdict budget.verdict;
BEGIN
    IF p_reservation_id IS NOT NULL THEN
        SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = p_reservation_id;
    END IF;
    IF v_row.id IS NOT NULL THEN
        RETURN budget._replay(p_config, p_estimate, p_service_name, p_metadata, p_now, v_row);
    END IF;
    v_verdict := budget._decide(p_config, p_estimate, p_service_name, p_metadata, p_now, NULL);
    IF NOT v_verdict.can_proceed THEN
        -- The caps are the day's, and so must be the total.
        PERFORM budget._escalate_caps(
            p_config, CASE v_verdict.budget WHEN 'daily' THEN v_verdict.current_total END, p_now
        );
        PERFORM budget._escalate_refusal(
            p_config, v_verdict, p_estimate, p_service_name, p_metadata, p_now, p_work_order_id
        );
        RETURN v_verdict;
    END IF;
    v_verdict.expires_at := p_now + coalesce(p_ttl, p_config.reservation_ttl);
    v_verdict.reservation_id := budget._insert_hold(
        coalesce(p_reservation_id, gen_random_uuid()), p_estimate, p_service_name, p_metadata, p_now, v_verdict.expires_at
    );
    IF v_verdict.reservation_id IS NULL THEN
        -- The id was taken between our look and our insert, by a writer that the lock does not keep out. It may be free
        -- again by now.
        RETURN budget._admit(
            p_config, p_estimate, p_service_name, p_metadata, p_now, p_reservation_id, p_ttl, p_work_order_id
        );
    END IF;
    PERFORM budget._escalate_caps(p_config, v_verdict.current_total + p_estimate, p_now);
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._admit(
    budget._config, numeric, text, jsonb, timestamptz, uuid, interval, uuid
) FROM PUBLIC;
COMMENT ON FUNCTION budget._admit(budget._config, numeric, text, jsonb, timestamptz, uuid, interval, uuid) IS
'The verdict on a request under the decision lock, with its hold where it is granted. A refusal is escalated once a day
for the service, or for the work order where one is given.';
-- end functions/_internal/_admit.sql

-- begin functions/_internal/_reserve.sql
-- The one body of both variants. Lock first, then one reading of the clock, then configuration and sum: each of them
-- is a statement of its own, so that it sees all that was committed before the lock was granted.
CREATE OR REPLACE FUNCTION budget._reserve(
    p_lock text,
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb,
    p_reservation_id uuid,
    p_ttl interval,
    p_work_order_id uuid
)
RETURNS budget.verdict
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_estimate numeric := budget._money(p_estimated_cost, 'p_estimated_cost');
    v_service_name text := budget._service_name(p_service_name);
    v_metadata jsonb := budget._metadata(p_metadata);
    v_ttl interval := CASE WHEN p_ttl IS NOT NULL THEN budget._ttl(p_ttl) END;
    v_lock_timeout text;
    v_decision record;
    v_verdict budget.verdict;
BEGIN
    v_lock_timeout := budget._begin_decision();
    v_decision := budget._serialise(
        p_lock, ARRAY[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._posting]
    );
    v_verdict := budget._admit(
        v_decision.config, v_estimate, v_service_name, v_metadata, v_decision.decided_at, p_reservation_id, v_ttl,
        p_work_order_id
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid) IS
'The body of budget.reserve and budget.reserve_advisory, under the lock that p_lock names.';
-- end functions/_internal/_reserve.sql

-- begin functions/_internal/_lock_hold.sql
-- The ledger first: whoever has to wait for a decision under the table lock does so before it reads anything, and
-- without holding up others at its row, such as that decision's own transaction.
CREATE OR REPLACE FUNCTION budget._lock_hold(p_reservation_id uuid)
RETURNS public.cost_tracking
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row public.cost_tracking;
BEGIN
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    SELECT l.*
    INTO v_row
    FROM public.cost_tracking AS l
    WHERE
        l.id = p_reservation_id
        AND (
            l.metadata ->> 'type' = 'reservation'
            OR (l.metadata ? 'reserved_at' AND l.metadata ->> 'type' IN ('actual', 'cancelled', 'expired'))
        )
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no reservation with the id %', coalesce(p_reservation_id::text, 'null')
            USING ERRCODE = 'PB002',
            DETAIL = 'No such row is in the ledger, or the row is plain spend that never was a hold.',
            HINT = 'If the money was spent, record it: budget.record(actual_cost, service_name).';
    END IF;
    RETURN v_row;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_hold(uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_hold(uuid) IS
'The ledger row of a reservation, locked until the end of the transaction, as is the ledger, in ROW EXCLUSIVE mode.
Errors: PB002 unknown, 55P03 lock wait.';
-- end functions/_internal/_lock_hold.sql

-- begin functions/_internal/_forbid.sql
CREATE OR REPLACE FUNCTION budget._forbid(p_row public.cost_tracking, p_operation text, p_given text)
RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'the reservation % cannot be %: it is %', p_row.id, p_operation, p_row.metadata ->> 'type'
        USING ERRCODE = 'PB004',
        DETAIL = format('In the ledger: %s at cost %s. Given: %s.', p_row.metadata ->> 'type', p_row.cost, p_given),
        HINT = 'What is booked stays booked. For spend beyond it, call budget.record; for a new call, budget.reserve.';
END
$function$;

REVOKE ALL ON FUNCTION budget._forbid(public.cost_tracking, text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._forbid(public.cost_tracking, text, text) IS
'Errors: PB004, with the state that the ledger has and what was asked for.';
-- end functions/_internal/_forbid.sql

-- begin functions/_internal/_settled.sql
CREATE OR REPLACE FUNCTION budget._settled(p_row public.cost_tracking, p_actual numeric)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_row.metadata ->> 'type' <> 'actual' THEN
        RETURN false;
    END IF;
    IF p_row.cost <> p_actual THEN
        PERFORM budget._forbid(p_row, 'settled', 'cost ' || p_actual);
    END IF;
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._settled(public.cost_tracking, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._settled(public.cost_tracking, numeric) IS
'Is the reservation settled at this amount already? Errors: PB004 when it is settled at another.';
-- end functions/_internal/_settled.sql

-- begin functions/_internal/_outcome.sql
CREATE OR REPLACE FUNCTION budget._outcome(p_row public.cost_tracking)
RETURNS budget.outcome
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_outcome budget.outcome;
BEGIN
    v_outcome.reservation_id := p_row.id;
    v_outcome.status := p_row.metadata ->> 'type';
    v_outcome.estimated_cost := (p_row.metadata ->> 'estimated_cost')::numeric;
    v_outcome.actual_cost := p_row.cost;
    -- Compared and not cast: a direct writer may have left anything there.
    v_outcome.over_limit := CASE
        WHEN p_row.metadata -> 'over_limit' = 'null' THEN NULL
        ELSE coalesce(p_row.metadata -> 'over_limit' = 'true', false)
    END;
    v_outcome.late := coalesce(p_row.metadata -> 'late' = 'true', false);
    RETURN v_outcome;
END
$function$;

REVOKE ALL ON FUNCTION budget._outcome(public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._outcome(public.cost_tracking) IS 'A ledger row as an outcome.';
-- end functions/_internal/_outcome.sql

-- begin functions/_internal/_total_after.sql
-- No decision lock: the money is spent, whatever the answer. What this sees of others is a committed reading.
CREATE OR REPLACE FUNCTION budget._total_after(
    p_config budget._config,
    p_actual numeric,
    p_service_name text,
    p_metadata jsonb,
    p_now timestamptz,
    p_hold public.cost_tracking
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_counted numeric := budget._counted(p_config, p_now, p_hold);
    v_before budget.verdict;
BEGIN
    IF p_config.error IS NOT NULL OR p_actual <= v_counted THEN
        RETURN NULL;
    END IF;
    v_before := budget._headroom(p_config, 0, p_service_name, p_metadata, p_now, p_hold);
    RETURN v_before.current_total - v_counted + p_actual;
END
$function$;

REVOKE ALL ON FUNCTION budget._total_after(
    budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._total_after(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking) IS
'The total of the window once the amount is booked; NULL where it need not be summed, because the amount is no more than
the hold counts, or cannot be, because the configuration is broken.';
-- end functions/_internal/_total_after.sql

-- begin functions/_internal/_over_limit.sql
CREATE OR REPLACE FUNCTION budget._over_limit(p_config budget._config, p_total numeric)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_config.error IS NOT NULL THEN
        RETURN NULL; -- no limit is known
    END IF;
    RETURN coalesce(p_total > p_config.emergency_kill, false);
END
$function$;

REVOKE ALL ON FUNCTION budget._over_limit(budget._config, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._over_limit(budget._config, numeric) IS
'Did spend that brought its window to this total (NULL: it was not summed) leave it above its limit?';
-- end functions/_internal/_over_limit.sql

-- begin functions/_internal/_settlement.sql
CREATE OR REPLACE FUNCTION budget._settlement(p_config budget._config, p_total numeric, p_metadata jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN p_metadata || jsonb_build_object(
        'type', 'actual',
        'over_limit', budget._over_limit(p_config, p_total)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._settlement(budget._config, numeric, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._settlement(budget._config, numeric, jsonb) IS
'What settling adds to a hold''s metadata: what it was settled with, and whether this left its day (p_total) over the
limit.';
-- end functions/_internal/_settlement.sql

-- begin functions/_internal/_escalate_spend.sql
CREATE OR REPLACE FUNCTION budget._escalate_spend(
    p_config budget._config,
    p_total numeric,
    p_row public.cost_tracking
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_total IS NULL THEN
        RETURN;
    END IF;
    PERFORM budget._escalate_caps(p_config, p_total, p_row.created_at);
    IF budget._over_limit(p_config, p_total) THEN
        PERFORM budget._escalate_once(
            'budget_overrun',
            to_char((budget._window(p_row.created_at, p_config.timezone)).day, 'YYYY-MM-DD'),
            'daily',
            ARRAY[p_row.id::text],
            'critical',
            format(
                'The day''s budget is overrun: %s spent %s and leaves the day at %s of %s.',
                p_row.service_name, p_row.cost, p_total, p_config.emergency_kill
            ),
            jsonb_build_object(
                'service_name', p_row.service_name,
                'estimated_cost', p_row.metadata ->> 'estimated_cost',
                'actual_cost', p_row.cost::text,
                'current_total', p_total::text,
                'limit_amount', p_config.emergency_kill::text
            ),
            NULL,
            NULL
        );
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_spend(budget._config, numeric, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_spend(budget._config, numeric, public.cost_tracking) IS
'Escalates the caps that the total has reached, and the row that took it above the limit.';
-- end functions/_internal/_escalate_spend.sql

-- begin functions/_internal/_recorded.sql
CREATE OR REPLACE FUNCTION budget._recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb)
RETURNS public.cost_tracking
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row public.cost_tracking;
BEGIN
    SELECT l.* INTO v_row FROM public.cost_tracking AS l WHERE l.id = p_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF v_row.metadata ? 'recorded_at'
        AND v_row.cost = p_actual
        AND v_row.service_name = p_service_name
        AND v_row.metadata -> 'original_metadata' = p_metadata
    THEN
        RETURN v_row;
    END IF;
    RAISE EXCEPTION 'the id % was used before with other arguments', p_id
        USING ERRCODE = 'PB003',
        DETAIL = format(
            'In the ledger: %s of service %s, metadata %s. Now: %s of service %s, metadata %s.',
            v_row.cost, v_row.service_name, v_row.metadata, p_actual, p_service_name, p_metadata
        ),
        HINT = 'Repeat a record with the arguments it was made with, or take a new id.';
END
$function$;

REVOKE ALL ON FUNCTION budget._recorded(uuid, numeric, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._recorded(uuid, numeric, text, jsonb) IS
'The spend that was recorded with this id and these arguments before; NULL when no row has the id any more.
Errors: PB003 when the arguments differ.';
-- end functions/_internal/_recorded.sql

-- begin functions/_internal/_kept_metadata.sql
-- A direct writer replaces the whole metadata, as the handover does. What the row must not lose is kept from the old
-- one, the step that is taken is noted, and the writer's own keys stand between the two.
CREATE OR REPLACE FUNCTION budget._kept_metadata(
    p_old public.cost_tracking,
    p_new public.cost_tracking,
    p_now timestamptz
)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_fixed CONSTANT text[] := ARRAY[
        'reserved_at', 'estimated_cost', 'requested_cost', 'original_metadata',
        'extended_at', 'expired_at', 'cancelled_at', 'settled_at', 'late'
    ];
    c_kept CONSTANT text[] := c_fixed || ARRAY['cancel_reason', 'over_limit'];
    v_old text := p_old.metadata ->> 'type';
    v_new text := p_new.metadata ->> 'type';
    v_kept jsonb := jsonb_object_agg(k.key, k.value) FROM jsonb_each(p_old.metadata) AS k WHERE k.key = ANY (c_kept);
    v_step jsonb := '{}'::jsonb;
BEGIN
    IF NOT p_old.metadata ? 'reserved_at' THEN
        -- Another writer made this hold: its cost is its estimate, and what stands under our keys is not ours.
        v_kept := jsonb_build_object('reserved_at', budget._iso(p_old.created_at), 'estimated_cost', p_old.cost::text);
        IF p_old.metadata ? 'original_metadata' THEN
            v_kept := v_kept || jsonb_build_object('original_metadata', p_old.metadata -> 'original_metadata');
        END IF;
    END IF;

    IF v_new = 'reservation' THEN
        v_step := jsonb_build_object('estimated_cost', p_new.cost::text);
        IF p_new.cost <> p_old.cost OR p_new.expires_at <> p_old.expires_at THEN
            v_step := v_step || jsonb_build_object('extended_at', budget._iso(p_now));
        END IF;
    ELSIF v_new <> v_old THEN
        v_step := jsonb_build_object(
            CASE v_new WHEN 'actual' THEN 'settled_at' ELSE v_new || '_at' END, budget._iso(p_now)
        );
        -- Late: the hold had ended, or had passed its expiry, reclaimed or not.
        IF v_new <> 'expired' AND (v_old <> 'reservation' OR p_old.expires_at <= p_now) THEN
            v_step := v_step || '{"late": true}';
        END IF;
    END IF;
    RETURN v_kept || (p_new.metadata - c_fixed) || v_step;
END
$function$;

REVOKE ALL ON FUNCTION budget._kept_metadata(public.cost_tracking, public.cost_tracking, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._kept_metadata(public.cost_tracking, public.cost_tracking, timestamptz) IS
'The metadata of a hold after an update: what is kept of the old, the writer''s own keys, and the step taken.';
-- end functions/_internal/_kept_metadata.sql

-- begin functions/_internal/_guard_hold.sql
-- The state machine of a hold, for our own functions and for direct writers alike. It also keeps the books: whoever
-- moves a hold to another state gets its times, its estimate and its lateness kept, and its expiry cleared.
CREATE OR REPLACE FUNCTION budget._guard_hold()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_old text := OLD.metadata ->> 'type';
    v_new text := NEW.metadata ->> 'type';
    v_now timestamptz := budget._now();
    v_fault text;
BEGIN
    v_fault := CASE
        WHEN v_old IS DISTINCT FROM 'reservation'
            AND (OLD.metadata ? 'reserved_at' AND v_old IN ('actual', 'cancelled', 'expired')) IS NOT TRUE
            THEN 'it is spend, and spend cannot become a hold'
        WHEN (NEW.id, NEW.service_name, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.service_name, OLD.created_at)
            THEN 'its id, service and creation time cannot change'
        WHEN v_new IS NULL OR v_new NOT IN ('reservation', 'actual', 'cancelled', 'expired')
            THEN 'metadata.type must say what became of it'
        WHEN v_new <> v_old
            AND v_old || '>' || v_new NOT IN (
                'reservation>actual', 'reservation>cancelled', 'reservation>expired',
                'expired>actual', 'expired>cancelled', 'cancelled>actual'
            )
            THEN 'it cannot go from one of these states to the other'
        WHEN v_new = v_old AND v_new <> 'reservation' AND NEW.cost <> OLD.cost
            THEN 'the cost of an ended hold cannot change'
        WHEN v_new = 'cancelled' AND NEW.cost <> 0
            THEN 'a cancelled hold costs nothing'
    END;
    IF v_fault IS NOT NULL THEN
        RAISE EXCEPTION 'the ledger row % cannot be changed like this: %', OLD.id, v_fault
            USING ERRCODE = 'PB004',
            DETAIL = format(
                'State %s, cost %s; asked for state %s, cost %s.',
                coalesce(v_old, 'none'), OLD.cost, coalesce(v_new, 'none'), NEW.cost
            ),
            HINT = 'Use budget.settle, budget.cancel or budget.extend; a hold may also be deleted.';
    END IF;

    IF v_new = 'reservation' THEN
        NEW.expires_at := coalesce(NEW.expires_at, OLD.expires_at);
    ELSE
        NEW.expires_at := NULL;
    END IF;
    IF v_new = 'reservation' AND OLD.expires_at IS NULL AND (NEW.cost, NEW.metadata) = (OLD.cost, OLD.metadata) THEN
        RETURN NEW; -- adoption gives a hold its expiry, and leaves it as it was found otherwise
    END IF;
    NEW.metadata := budget._kept_metadata(OLD, NEW, v_now);
    RETURN NEW;
END
$function$;

REVOKE ALL ON FUNCTION budget._guard_hold() FROM PUBLIC;
COMMENT ON FUNCTION budget._guard_hold() IS
'Trigger on ledger rows that began as a hold, or are to become one: allows the moves of the state machine alone.
Errors: PB004.';
-- end functions/_internal/_guard_hold.sql

-- begin functions/_internal/_adopt_hold.sql
-- A hold that another writer inserts, such as the handover's own function, must lapse like every other.
CREATE OR REPLACE FUNCTION budget._adopt_hold()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    NEW.created_at := coalesce(NEW.created_at, budget._now());
    NEW.expires_at := NEW.created_at + (budget._read_config()).reservation_ttl;
    NEW.metadata := NEW.metadata - ARRAY['reserved_at', 'over_limit'];
    NEW.metadata := budget._kept_metadata(NEW, NEW, NEW.created_at);
    RETURN NEW;
END
$function$;

REVOKE ALL ON FUNCTION budget._adopt_hold() FROM PUBLIC;
COMMENT ON FUNCTION budget._adopt_hold() IS
'Trigger on holds inserted without an expiry: they lapse at created_at + reservation_ttl and get our keys.';
-- end functions/_internal/_adopt_hold.sql

-- begin functions/_internal/_note_change.sql
CREATE OR REPLACE FUNCTION budget._note_change(p_kind text, p_reason text, p_old text, p_new text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM budget._write_escalation(
        gen_random_uuid(), p_kind, 'info', 'budget', p_kind, p_reason,
        jsonb_build_object('old', p_old, 'new', p_new, 'changed_by', session_user),
        NULL, 'resolved'
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._note_change(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._note_change(text, text, text, text) IS
'Keeps who changed a setting, from what to what, as an escalation of severity info that is resolved already.';
-- end functions/_internal/_note_change.sql

-- begin functions/_internal/_freeze_state.sql
-- The row may have been written by hand: whatever it holds, it freezes, and what can be read of it is shown.
CREATE OR REPLACE FUNCTION budget._freeze_state(OUT frozen boolean, OUT reason text, OUT since timestamptz)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    SELECT c.value INTO reason FROM public.system_config AS c WHERE c.key = 'budget_freeze';
    frozen := FOUND;
    IF frozen THEN
        since := (reason::jsonb ->> 'since')::timestamptz;
        reason := coalesce(reason::jsonb ->> 'reason', reason);
    END IF;
EXCEPTION WHEN data_exception THEN
    RETURN; -- not ours: shown as it is
END
$function$;

REVOKE ALL ON FUNCTION budget._freeze_state() FROM PUBLIC;
COMMENT ON FUNCTION budget._freeze_state() IS 'The kill switch: is it on, why, and since when?';
-- end functions/_internal/_freeze_state.sql

-- begin functions/_internal/_price.sql
CREATE OR REPLACE FUNCTION budget._price(p_proposer text, p_profile jsonb, p_key text)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_price numeric;
BEGIN
    IF jsonb_typeof(p_profile -> p_key) = 'number' THEN
        v_price := (p_profile ->> p_key)::numeric;
    END IF;
    IF v_price >= 0 THEN
        RETURN v_price;
    END IF;
    RAISE EXCEPTION 'the proposer % has no price', p_proposer
        USING ERRCODE = 'PB005',
        DETAIL = format('cost_profile.%s is %s.', p_key, coalesce((p_profile -> p_key)::text, 'missing')),
        HINT = 'Set it in public.proposer_configs, as a number per token.';
END
$function$;

REVOKE ALL ON FUNCTION budget._price(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._price(text, jsonb, text) IS
'One price of a proposer''s cost profile, per token. Errors: PB005 when it is missing or no amount.';
-- end functions/_internal/_price.sql

-- begin functions/_internal/_active_proposers.sql
CREATE OR REPLACE FUNCTION budget._active_proposers()
RETURNS TABLE (name text, complexity_threshold numeric, price numeric, place bigint)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        p.name,
        p.complexity_threshold,
        -- Without a price of 0 or more a proposer is nobody's cheapest: NULL sorts last.
        jsonb_path_query_first(p.cost_profile, 'strict $.input_cost_per_token ? (@ >= 0)', silent => true)::numeric,
        row_number() OVER (ORDER BY p.created_at, p.name)
    FROM public.proposer_configs AS p
    WHERE p.active;
$function$;

REVOKE ALL ON FUNCTION budget._active_proposers() FROM PUBLIC;
COMMENT ON FUNCTION budget._active_proposers() IS
'The proposers that may be chosen, with the price of an input token and their place in the order they were added.';
-- end functions/_internal/_active_proposers.sql

-- begin functions/_internal/_budget_status.sql
CREATE OR REPLACE FUNCTION budget._budget_status(p_config budget._config, p_total numeric)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN CASE
        WHEN p_total >= p_config.emergency_kill THEN 'emergency_kill'
        WHEN p_total >= p_config.daily_hard_cap THEN 'hard_cap_exceeded'
        WHEN p_total >= p_config.daily_soft_cap THEN 'warning'
        ELSE 'normal'
    END;
END
$function$;

REVOKE ALL ON FUNCTION budget._budget_status(budget._config, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._budget_status(budget._config, numeric) IS 'Which of the caps the day''s total has reached.';
-- end functions/_internal/_budget_status.sql

-- begin functions/_internal/_choose_proposer.sql
-- The rules in their order: a hard stop wants the strongest, an exceeded hard cap the cheapest, else the cheapest that
-- can do it. Fields that depend on the rule are set beside it.
CREATE OR REPLACE FUNCTION budget._choose_proposer(p_score numeric, p_hard_stop boolean, p_budget_status text)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_hard_stop_proposer CONSTANT text := 'claude-sonnet-4-5';
    v_forced boolean := p_budget_status = 'hard_cap_exceeded';
    v_names text[];
    v_cheapest text[];
    v_capable text[];
    v_strongest text[];
    v_selected text;
    v_choice jsonb;
BEGIN
    -- One reading of the table, so that all rules choose from the same proposers.
    SELECT
        array_agg(a.name ORDER BY a.place),
        array_agg(a.name ORDER BY a.price, a.place),
        array_agg(a.name ORDER BY a.price, a.place) FILTER (WHERE a.complexity_threshold >= p_score),
        array_agg(a.name ORDER BY a.complexity_threshold DESC, a.price, a.place)
    INTO v_names, v_cheapest, v_capable, v_strongest
    FROM budget._active_proposers() AS a;
    IF v_names IS NULL THEN
        RAISE EXCEPTION 'no active proposers available'
            USING ERRCODE = 'PB005',
            DETAIL = 'public.proposer_configs has no row that is active.',
            HINT = 'Activate a proposer, then route the order again.';
    END IF;

    IF p_hard_stop AND NOT v_forced AND c_hard_stop_proposer = ANY (v_names) THEN
        v_selected := c_hard_stop_proposer;
        v_choice := jsonb_build_object(
            'reason', 'Hard stop: security or architecture is touched', 'confidence', 1.0, 'candidates_count', 1,
            'routing_strategy', 'hard_stop_override', 'budget_status', 'within_limits'
        );
    ELSIF v_forced THEN
        v_selected := v_cheapest[1];
        v_choice := jsonb_build_object(
            'reason', 'The daily hard cap is reached: the cheapest proposer is forced', 'confidence', 0.8,
            'candidates_count', cardinality(v_names),
            'routing_strategy', 'budget_forced_optimization', 'budget_status', p_budget_status
        );
    ELSE
        v_selected := coalesce(v_capable[1], v_strongest[1]);
        v_choice := jsonb_build_object(
            'reason', CASE
                WHEN v_capable IS NULL THEN 'No threshold reaches the complexity: the highest is taken'
                ELSE 'The cheapest proposer whose threshold reaches the complexity'
            END,
            'confidence', 0.95, 'candidates_count', coalesce(cardinality(v_capable), 0),
            'routing_strategy', 'max_complexity_ceiling_with_cost_optimization', 'budget_status', p_budget_status
        );
    END IF;
    RETURN v_choice || jsonb_build_object(
        'selected_proposer', v_selected,
        'fallback_proposer', CASE WHEN NOT v_forced THEN (array_remove(v_names, v_selected))[1] END,
        'available_proposers', v_names
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._choose_proposer(numeric, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._choose_proposer(numeric, boolean, text) IS
'Which active proposer takes a task of this complexity, why, and who stands in for it. Errors: PB005 none is active.';
-- end functions/_internal/_choose_proposer.sql

-- begin functions/_internal/_routing_decision.sql
CREATE OR REPLACE FUNCTION budget._routing_decision(
    p_score numeric,
    p_hard_stop boolean,
    p_budget_status text,
    p_verdict budget.verdict
)
RETURNS jsonb
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_choice jsonb := budget._choose_proposer(p_score, p_hard_stop, p_budget_status);
BEGIN
    RETURN jsonb_build_object(
        'selected_proposer', v_choice -> 'selected_proposer',
        'reason', v_choice -> 'reason',
        'confidence', v_choice -> 'confidence',
        'fallback_proposer', v_choice -> 'fallback_proposer',
        'routing_metadata', jsonb_build_object(
            'complexity_score', p_score,
            'hard_stop_required', p_hard_stop,
            'daily_spend', p_verdict.current_total::text,
            'budget_status', v_choice -> 'budget_status',
            'available_proposers', v_choice -> 'available_proposers',
            'candidates_count', v_choice -> 'candidates_count',
            'selection_timestamp', budget._iso(budget._now()),
            'routing_strategy', v_choice -> 'routing_strategy',
            'budget_reservation_id', p_verdict.reservation_id
        )
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._routing_decision(numeric, boolean, text, budget.verdict) FROM PUBLIC;
COMMENT ON FUNCTION budget._routing_decision(numeric, boolean, text, budget.verdict) IS
'The decision as it is answered and stored. Money in it is text, which no JSON reader turns into a float.';
-- end functions/_internal/_routing_decision.sql

-- begin functions/_internal/_routing_refused.sql
CREATE OR REPLACE FUNCTION budget._routing_refused(p_error text)
RETURNS jsonb
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT jsonb_build_object('success', false, 'error', p_error);
$function$;

REVOKE ALL ON FUNCTION budget._routing_refused(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._routing_refused(text) IS 'The answer to a work order that was not routed.';
-- end functions/_internal/_routing_refused.sql

-- begin functions/_internal/_lock_order.sql
CREATE OR REPLACE FUNCTION budget._lock_order(p_work_order_id uuid)
RETURNS public.work_orders
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_order public.work_orders;
BEGIN
    IF p_work_order_id IS NULL THEN
        RAISE EXCEPTION 'p_work_order_id must not be null'
            USING ERRCODE = '22023', DETAIL = 'The id is null.', HINT = 'Give the id of the work order.';
    END IF;
    SELECT w.* INTO v_order FROM public.work_orders AS w WHERE w.id = p_work_order_id FOR NO KEY UPDATE;
    IF jsonb_typeof(v_order.metadata) <> 'object' THEN
        RAISE EXCEPTION 'the metadata of work order % is no JSON object', p_work_order_id
            USING ERRCODE = '22023',
            DETAIL = format('It is of type %s.', jsonb_typeof(v_order.metadata)),
            HINT = 'The decision is stored in it, beside what is there: make it an object first.';
    END IF;
    RETURN v_order;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_order(uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_order(uuid) IS
'The work order, locked until the end of the transaction; null when it is not in the table. Errors: 22023, 55P03.';
-- end functions/_internal/_lock_order.sql

-- begin functions/_internal/_cancel_order_holds.sql
-- A time to live is at most 24 hours, so that a hold which was never extended is younger than that; one that was is
-- found by the id in the order's last decision. A row that another session has locked is being settled, cancelled or
-- extended by it and is left to it: whoever holds the decision lock never waits for a row.
CREATE OR REPLACE FUNCTION budget._cancel_order_holds(p_work_order_id uuid, p_last_reservation_id text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_uuid CONSTANT text := '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
    v_now timestamptz := budget._now();
    -- The application may have changed the decision. As a uuid, not as text, so that the key finds it.
    v_last_id uuid := substring(p_last_reservation_id FROM c_uuid)::uuid;
    c_cancelled CONSTANT jsonb := jsonb '{"type": "cancelled", "cancel_reason": "the work order was routed again"}';
    v_hold record;
    v_asked public.cost_tracking;
    v_row public.cost_tracking;
BEGIN
    FOR v_hold IN
        SELECT l.id, l.service_name, l.created_at
        FROM public.cost_tracking AS l
        WHERE
            (l.created_at > v_now - interval '24 hours' OR l.id = v_last_id)
            AND l.expires_at > v_now
            AND l.service_name = 'manager-routing'
            AND l.metadata -> 'original_metadata' ->> 'work_order_id' = p_work_order_id::text
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        UPDATE public.cost_tracking AS l
        SET cost = 0, metadata = c_cancelled
        WHERE l.id = v_hold.id
        RETURNING l.* INTO v_row;
        v_asked.id := v_hold.id;
        v_asked.service_name := v_hold.service_name;
        v_asked.cost := 0;
        v_asked.metadata := c_cancelled;
        v_asked.created_at := v_hold.created_at;
        PERFORM budget._require_kept(v_asked, v_row);
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._cancel_order_holds(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._cancel_order_holds(uuid, text) IS
'Cancels what earlier routings of the work order still hold. Errors: PB006.';
-- end functions/_internal/_cancel_order_holds.sql

-- begin functions/_internal/_reading.sql
-- Views run their functions with the reader's rights: of the internal ones a reader may call this and _window alone.
CREATE OR REPLACE FUNCTION budget._reading()
RETURNS TABLE (
    now timestamptz,
    day date,
    starts_at timestamptz,
    ends_at timestamptz,
    timezone text,
    daily_soft_cap numeric,
    daily_hard_cap numeric,
    emergency_kill numeric,
    on_expiry text,
    frozen boolean,
    frozen_reason text,
    unknown_keys text[],
    config_error text
)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_config budget._config := budget._read_config();
BEGIN
    PERFORM FROM public.cost_tracking LIMIT 0; -- where row security hides rows from us: an error, not a partial sum
    now := budget._now();
    timezone := v_config.timezone;
    SELECT w.day, w.starts_at, w.ends_at INTO day, starts_at, ends_at FROM budget._window(now, timezone) AS w;
    daily_soft_cap := v_config.daily_soft_cap;
    daily_hard_cap := v_config.daily_hard_cap;
    emergency_kill := v_config.emergency_kill;
    on_expiry := v_config.on_expiry;
    SELECT f.frozen, f.reason INTO frozen, frozen_reason FROM budget._freeze_state() AS f;
    config_error := v_config.error;
    IF config_error IS NULL THEN
        unknown_keys := ARRAY(
            SELECT k.key
            FROM public.system_config AS c, jsonb_object_keys(c.value::jsonb) AS k (key)
            WHERE
                c.key = 'budget_limits'
                AND k.key NOT IN (
                    'daily_soft_cap', 'daily_hard_cap', 'emergency_kill',
                    'timezone', 'reservation_ttl', 'on_expiry', 'exempt_services'
                )
            ORDER BY k.key
        );
    END IF;
    RETURN NEXT;
END
$function$;

REVOKE ALL ON FUNCTION budget._reading() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._reading() TO budget_reader;
COMMENT ON FUNCTION budget._reading() IS 'The clock, the window and the configuration that the views share.';
-- end functions/_internal/_reading.sql

-- begin functions/reserve.sql
CREATE OR REPLACE FUNCTION budget.reserve(
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}',
    p_reservation_id uuid DEFAULT NULL,
    p_ttl interval DEFAULT NULL
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN NEXT budget._reserve(
        'table', p_estimated_cost, p_service_name, p_metadata, p_reservation_id, p_ttl, NULL
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.reserve(numeric, text, jsonb, uuid, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.reserve(numeric, text, jsonb, uuid, interval) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.reserve(numeric, text, jsonb, uuid, interval) IS
'Reserves an estimated cost before a call, if the day''s limit has room for it. One row: the verdict; a refusal is a
row too.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who will spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB, kept as original_metadata
p_reservation_id  the hold''s id, which makes a repeat safe: the same id with the same arguments is charged once; made
                  here when it is NULL
p_ttl             the hold lapses after this time and then counts nothing; more than 0 and at most 24 hours, by default
                  the limits'' reservation_ttl

current_total and remaining are read before this call. reason is granted, replayed (this id is open already),
in_flight (retry_at: when enough open holds have lapsed), exhausted (retry_at: when the day ends), too_large, frozen,
or ended (this id''s hold has ended: do not spend on it).
Errors: 22023, 22003 bad argument; PB001 not READ COMMITTED; PB003 id reused with other arguments; PB005 broken
configuration; PB006 the ledger did not keep the row; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction; plain writers of the ledger, autovacuum and
CREATE INDEX wait for it, readers do not.';
-- end functions/reserve.sql

-- begin functions/reserve_advisory.sql
CREATE OR REPLACE FUNCTION budget.reserve_advisory(
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}',
    p_reservation_id uuid DEFAULT NULL,
    p_ttl interval DEFAULT NULL
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN NEXT budget._reserve(
        'advisory', p_estimated_cost, p_service_name, p_metadata, p_reservation_id, p_ttl, NULL
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.reserve_advisory(numeric, text, jsonb, uuid, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.reserve_advisory(numeric, text, jsonb, uuid, interval) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.reserve_advisory(numeric, text, jsonb, uuid, interval) IS
'Reserves an estimated cost before a call, if the day''s limit has room for it. One row: the verdict; a refusal is a
row too.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who will spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB, kept as original_metadata
p_reservation_id  the hold''s id, which makes a repeat safe: the same id with the same arguments is charged once; made
                  here when it is NULL
p_ttl             the hold lapses after this time and then counts nothing; more than 0 and at most 24 hours, by default
                  the limits'' reservation_ttl

current_total and remaining are read before this call. reason is granted, replayed (this id is open already),
in_flight (retry_at: when enough open holds have lapsed), exhausted (retry_at: when the day ends), too_large, frozen,
or ended (this id''s hold has ended: do not spend on it).
Errors: 22023, 22003 bad argument; PB001 not READ COMMITTED; PB003 id reused with other arguments; PB005 broken
configuration; PB006 the ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger and the transaction-level advisory lock 8099550711184319860 until the end of the
transaction; other reservations wait for it, while plain writers of the ledger, autovacuum and CREATE INDEX go on.';
-- end functions/reserve_advisory.sql

-- begin functions/check.sql
CREATE OR REPLACE FUNCTION budget.check(
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}'
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN NEXT budget._decide(
        budget._require_config(),
        budget._money(p_estimated_cost, 'p_estimated_cost'),
        budget._service_name(p_service_name),
        budget._metadata(p_metadata),
        budget._now(),
        NULL
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.check(numeric, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.check(numeric, text, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.check(numeric, text, jsonb) IS
'The verdict that budget.reserve would give now. It reserves nothing, so that the answer may be stale by the time it is
read: never spend on it. One row, with no reservation_id.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who would spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB

Errors: 22023, 22003 bad argument; PB005 broken configuration.
Locks: none. It changes nothing, and works at any isolation level, read-only and on a standby.';
-- end functions/check.sql

-- begin functions/extend.sql
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
-- end functions/extend.sql

-- begin functions/settle.sql
CREATE OR REPLACE FUNCTION budget.settle(
    p_reservation_id uuid,
    p_actual_cost numeric,
    p_metadata jsonb DEFAULT '{}'
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
    v_metadata jsonb := budget._metadata(p_metadata);
    v_lock_timeout text := budget._begin_write();
    v_row public.cost_tracking := budget._lock_hold(p_reservation_id);
    v_now timestamptz := budget._now();
    v_config budget._config;
    v_total numeric;
    v_asked public.cost_tracking := v_row;
BEGIN
    IF NOT budget._settled(v_row, v_actual) THEN
        v_config := budget._read_config();
        v_total := budget._total_after(v_config, v_actual, v_row.service_name, v_row.metadata, v_now, v_row);
        v_asked.cost := v_actual;
        v_asked.metadata := '{"type": "actual"}';
        v_asked.expires_at := NULL;
        UPDATE public.cost_tracking AS l
        SET cost = v_actual, metadata = l.metadata || budget._settlement(v_config, v_total, v_metadata)
        WHERE l.id = v_row.id
        RETURNING l.* INTO v_row;
        PERFORM budget._require_kept(v_asked, v_row);
        PERFORM budget._escalate_spend(v_config, v_total, v_row);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT budget._outcome(v_row);
END
$function$;

REVOKE ALL ON FUNCTION budget.settle(uuid, numeric, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.settle(uuid, numeric, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.settle(uuid, numeric, jsonb) IS
'Turns a hold into the spend it became. One row: the outcome.

p_reservation_id  the hold, also one that has lapsed, expired or was cancelled: the money was spent (late = true)
p_actual_cost     what the call cost, in the currency of the limits; at most 12 decimals, rounded up; it may exceed the
                  estimate and is recorded in full
p_metadata        a JSON object, at most 64 KiB, merged into the row beside the original metadata

Repeating it with the same amount gives the same outcome. over_limit: this spend left its day above the limit; NULL
while the configuration is broken. The spend is posted to the day that admitted the hold.
Errors: 22023, 22003 bad argument; PB002 unknown reservation; PB004 settled before with another amount; PB006
the ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, as a plain UPDATE takes it, and the hold''s own row, until the end of the
transaction. It takes no decision lock and works at any isolation level.';
-- end functions/settle.sql

-- begin functions/cancel.sql
CREATE OR REPLACE FUNCTION budget.cancel(
    p_reservation_id uuid,
    p_reason text DEFAULT NULL
)
RETURNS SETOF budget.outcome
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_reason jsonb := budget._metadata(jsonb_strip_nulls(jsonb_build_object('cancel_reason', p_reason)), 'p_reason');
    v_lock_timeout text := budget._begin_write();
    v_row public.cost_tracking := budget._lock_hold(p_reservation_id);
    v_asked public.cost_tracking := v_row;
BEGIN
    CASE v_row.metadata ->> 'type'
        WHEN 'actual' THEN
            PERFORM budget._forbid(v_row, 'cancelled', 'state cancelled');
        WHEN 'cancelled' THEN
            NULL; -- a repeat: the first reason stands
        ELSE
            -- The row stays, at cost 0: a late settle, a repeat and an audit still find it.
            UPDATE public.cost_tracking AS l
            SET cost = 0, metadata = l.metadata || v_reason || '{"type": "cancelled"}'
            WHERE l.id = v_row.id
            RETURNING l.* INTO v_row;
            v_asked.cost := 0;
            v_asked.metadata := '{"type": "cancelled"}';
            v_asked.expires_at := NULL;
            PERFORM budget._require_kept(v_asked, v_row);
    END CASE;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT budget._outcome(v_row);
END
$function$;

REVOKE ALL ON FUNCTION budget.cancel(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.cancel(uuid, text) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.cancel(uuid, text) IS
'Gives a hold''s money back because the call failed and cost nothing. One row: the outcome.

p_reservation_id  the hold
p_reason          why, kept in the row; optional

The ledger row stays, at cost 0. Repeating it changes nothing. If the call turns out to have cost something after all,
settle the same reservation: that is recorded in full and marked late.
Errors: PB002 unknown reservation; PB004 the hold is settled; PB006 the ledger did not keep the row; 22023 bad
argument; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, as a plain UPDATE takes it, and the hold''s own row, until the end of the
transaction. It takes no decision lock and works at any isolation level.';
-- end functions/cancel.sql

-- begin functions/record.sql
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
-- end functions/record.sql

-- begin functions/expire.sql
CREATE OR REPLACE FUNCTION budget.expire(p_limit integer DEFAULT 1000)
RETURNS TABLE (expired integer, released numeric)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text;
    v_now timestamptz;
    -- Without it nothing says whether lapsing frees the money or spends it.
    v_keep boolean := (budget._require_config()).on_expiry = 'keep';
    v_marked record;
    v_asked public.cost_tracking;
BEGIN
    IF p_limit IS NULL OR p_limit < 1 THEN
        RAISE EXCEPTION 'p_limit must be at least 1'
            USING ERRCODE = '22023',
            DETAIL = format('It is %s.', coalesce(p_limit::text, 'null')),
            HINT = 'Leave it out for batches of 1000 holds.';
    END IF;
    v_lock_timeout := budget._begin_write();
    v_now := budget._now();
    WITH lapsed AS (
        SELECT l.id, l.cost, l AS hold
        FROM public.cost_tracking AS l
        WHERE l.expires_at <= v_now
        ORDER BY l.expires_at
        LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED -- whoever holds one of them now is settling, cancelling or extending it
    ),

    marked AS (
        UPDATE public.cost_tracking AS l
        SET
            cost = CASE WHEN v_keep THEN l.cost ELSE 0 END,
            metadata = l.metadata || '{"type": "expired"}'
        FROM lapsed
        WHERE l.id = lapsed.id
        RETURNING lapsed.id, lapsed.cost - l.cost AS released, l AS kept
    )

    SELECT
        count(*)::integer AS holds, coalesce(sum(m.released), 0) AS released,
        array_agg(ARRAY[p.hold, m.kept]) FILTER (
            WHERE
            m.id IS NULL
            OR ((m.kept).id, (m.kept).service_name, (m.kept).cost, (m.kept).created_at, (m.kept).metadata ->> 'type')
            <> (p.id, (p.hold).service_name, CASE WHEN v_keep THEN p.cost ELSE 0 END, (p.hold).created_at, 'expired')
            OR (m.kept).expires_at IS NOT NULL
        ) AS not_kept
    INTO v_marked
    FROM lapsed AS p
    LEFT JOIN marked AS m ON p.id = m.id;
    IF v_marked.not_kept IS NOT NULL THEN
        v_asked := v_marked.not_kept[1][1];
        v_asked.cost := CASE WHEN v_keep THEN v_asked.cost ELSE 0 END;
        v_asked.metadata := v_asked.metadata || '{"type": "expired"}';
        v_asked.expires_at := NULL;
        PERFORM budget._require_kept(v_asked, v_marked.not_kept[1][2]);
    END IF;
    expired := v_marked.holds;
    released := v_marked.released;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT;
END
$function$;

REVOKE ALL ON FUNCTION budget.expire(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.expire(integer) TO budget_admin;
COMMENT ON FUNCTION budget.expire(integer) IS
'Marks lapsed holds as expired, for cron. Bookkeeping alone: a lapsed hold counts nothing from its instant, marked or
not. One row: how many were marked, and the money they gave back (0 where on_expiry is keep, which books the estimate
as spent).

p_limit  at most so many in this call; call it until expired is 0

Errors: 22023 bad argument; PB005 broken configuration; PB006 the ledger did not keep it; 55P03 lock wait.
Locks: the rows it marks, skipping those that are locked. It takes no decision lock.';
-- end functions/expire.sql

-- begin functions/estimate.sql
CREATE OR REPLACE FUNCTION budget.estimate(p_complexity_score numeric, p_hard_stop_required boolean)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_complex_from CONSTANT numeric := 1.0;
    c_simple_below CONSTANT numeric := 0.3;
    c_complex_cost CONSTANT numeric := 2.50;
    c_medium_cost CONSTANT numeric := 1.00;
    c_simple_cost CONSTANT numeric := 0.10;
BEGIN
    IF p_complexity_score IS NULL OR p_complexity_score IN ('NaN', 'Infinity', '-Infinity')
        OR p_hard_stop_required IS NULL
    THEN
        RAISE EXCEPTION 'an estimate needs a finite complexity score, and whether a hard stop is required'
            USING ERRCODE = '22023',
            DETAIL = format(
                'p_complexity_score is %s, p_hard_stop_required is %s.',
                coalesce(p_complexity_score::text, 'null'), coalesce(p_hard_stop_required::text, 'null')
            ),
            HINT = 'Give a score, usually between 0 and 1, and true or false.';
    END IF;
    RETURN CASE
        WHEN p_hard_stop_required OR p_complexity_score >= c_complex_from THEN c_complex_cost
        WHEN p_complexity_score < c_simple_below THEN c_simple_cost
        ELSE c_medium_cost
    END;
END
$function$;

REVOKE ALL ON FUNCTION budget.estimate(numeric, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.estimate(numeric, boolean) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.estimate(numeric, boolean) IS
'The estimated cost of a routing decision, in three tiers.

p_complexity_score    2.50 from a score of 1.0 on, 0.10 below 0.3, 1.00 between
p_hard_stop_required  true: 2.50 whatever the score

Errors: 22023 bad argument. Locks: none.';
-- end functions/estimate.sql

-- begin functions/estimate_tokens.sql
CREATE OR REPLACE FUNCTION budget.estimate_tokens(
    p_proposer text,
    p_input_tokens bigint,
    p_max_output_tokens bigint
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_profile jsonb;
    v_input numeric;
    v_output numeric;
BEGIN
    IF coalesce(p_input_tokens, -1) < 0 OR coalesce(p_max_output_tokens, -1) < 0 THEN
        RAISE EXCEPTION 'token counts must be 0 or more'
            USING ERRCODE = '22023',
            DETAIL = format(
                'p_input_tokens is %s, p_max_output_tokens is %s.',
                coalesce(p_input_tokens::text, 'null'), coalesce(p_max_output_tokens::text, 'null')
            ),
            HINT = 'Count the prompt''s tokens, and give the ceiling that the call itself is given.';
    END IF;
    SELECT p.cost_profile INTO v_profile FROM public.proposer_configs AS p WHERE p.name = p_proposer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no proposer named %', coalesce(p_proposer, 'null')
            USING ERRCODE = '22023',
            DETAIL = 'public.proposer_configs has no such name.',
            HINT = 'An unknown proposer has no price, and is never taken for free.';
    END IF;
    v_input := budget._price(p_proposer, v_profile, 'input_cost_per_token');
    v_output := budget._price(p_proposer, v_profile, 'output_cost_per_token');
    RETURN budget._money(p_input_tokens * v_input + p_max_output_tokens * v_output, 'the estimate');
END
$function$;

REVOKE ALL ON FUNCTION budget.estimate_tokens(text, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.estimate_tokens(text, bigint, bigint) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.estimate_tokens(text, bigint, bigint) IS
'The most that a call can cost, from the proposer''s prices: input tokens and the ceiling of output tokens.

p_proposer           a name of proposer_configs, active or not
p_input_tokens       tokens of the prompt
p_max_output_tokens  the ceiling that the call is given

Returns an amount in the currency of cost_profile, at most 12 decimals, rounded up.
Errors: 22023 bad argument or unknown proposer; PB005 a price is missing or no amount; 22003 too large. Locks: none.';
-- end functions/estimate_tokens.sql

-- begin functions/estimate_from_history.sql
CREATE OR REPLACE FUNCTION budget.estimate_from_history(
    p_service_name text,
    p_quantile numeric DEFAULT 0.9,
    p_since interval DEFAULT '30 days'
)
RETURNS TABLE (estimate numeric, samples bigint)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_service_name text := budget._service_name(p_service_name);
    -- As seconds: adding days to an instant would follow the caller's TimeZone.
    v_seconds double precision := extract(EPOCH FROM p_since)::double precision;
BEGIN
    IF p_quantile BETWEEN 0 AND 1 AND v_seconds > 0 THEN
        RETURN QUERY
        SELECT
            percentile_disc(p_quantile::double precision) WITHIN GROUP (ORDER BY l.cost),
            count(*)
        FROM public.cost_tracking AS l
        WHERE
            l.service_name = v_service_name
            -- Three centuries are all of history, and no instant is out of range.
            AND l.created_at >= budget._now() - make_interval(secs => least(v_seconds, 1e10))
            AND l.metadata ->> 'type' = 'actual'
            AND l.metadata ? 'reserved_at';
        RETURN;
    END IF;
    RAISE EXCEPTION 'a history needs a quantile of 0 to 1 and a span of time'
        USING ERRCODE = '22023',
        DETAIL = format(
            'p_quantile is %s, p_since is %s.', coalesce(p_quantile::text, 'null'), coalesce(p_since::text, 'null')
        ),
        HINT = 'Nine calls of ten cost no more than p_quantile => 0.9.';
END
$function$;

REVOKE ALL ON FUNCTION budget.estimate_from_history(text, numeric, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.estimate_from_history(text, numeric, interval) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.estimate_from_history(text, numeric, interval) IS
'What a service''s calls have cost: the exact quantile of the actual costs of its settled holds. One row.

p_service_name  the service
p_quantile      0 to 1; at 0.9 nine calls of ten cost no more than the estimate
p_since         how far back, counted from now

estimate is NULL, and samples 0, where nothing was settled. Amounts in the currency of the limits.
Errors: 22023 bad argument. Locks: none.';
-- end functions/estimate_from_history.sql

-- begin functions/limits.sql
CREATE OR REPLACE FUNCTION budget.limits()
RETURNS TABLE (
    daily_soft_cap numeric,
    daily_hard_cap numeric,
    emergency_kill numeric,
    timezone text,
    reservation_ttl interval,
    on_expiry text,
    exempt_services text[]
)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_config budget._config := budget._require_config();
BEGIN
    daily_soft_cap := v_config.daily_soft_cap;
    daily_hard_cap := v_config.daily_hard_cap;
    emergency_kill := v_config.emergency_kill;
    timezone := v_config.timezone;
    reservation_ttl := v_config.reservation_ttl;
    on_expiry := v_config.on_expiry;
    exempt_services := ARRAY(SELECT jsonb_array_elements_text(v_config.exempt_services));
    RETURN NEXT;
END
$function$;

REVOKE ALL ON FUNCTION budget.limits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.limits() TO budget_caller, budget_admin, budget_reader;
COMMENT ON FUNCTION budget.limits() IS
'The limits in force. One row, a column per key of system_config.budget_limits; amounts in the currency of the limits,
NULL for a cap that is absent.
Errors: PB005 broken configuration. Locks: none.';
-- end functions/limits.sql

-- begin functions/set_limits.sql
CREATE OR REPLACE FUNCTION budget.set_limits(p_limits jsonb)
RETURNS TABLE (
    daily_soft_cap numeric,
    daily_hard_cap numeric,
    emergency_kill numeric,
    timezone text,
    reservation_ttl interval,
    on_expiry text,
    exempt_services text[]
)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_given jsonb := budget._metadata(p_limits, 'p_limits');
    v_lock_timeout text := budget._begin_write();
    v_old text;
    v_new jsonb;
    v_error text;
BEGIN
    -- Two changes at once must not each lose the other's keys: the later one waits here, whether the row is there or not.
    PERFORM pg_advisory_xact_lock(hashtextextended('pgbudget/budget_limits', 0));
    SELECT c.value INTO v_old FROM public.system_config AS c WHERE c.key = 'budget_limits' FOR UPDATE;

    v_new := CASE WHEN (budget._read_config()).error IS NULL THEN v_old::jsonb ELSE '{}' END || v_given;
    v_error := (budget._parse_config(v_new::text)).error;
    IF v_error IS NULL AND v_given ? 'timezone'
        AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = v_given ->> 'timezone')
    THEN
        v_error := format('the server knows no time zone named %s', v_given ->> 'timezone');
    END IF;
    IF v_error IS NOT NULL THEN
        RAISE EXCEPTION 'these limits cannot be set: %', v_error
            USING ERRCODE = 'PB005',
            DETAIL = format('The whole would be %s.', v_new),
            HINT = 'Give all keys that belong together in one call. Nothing was changed.';
    END IF;

    INSERT INTO public.system_config AS c (key, value, description)
    VALUES ('budget_limits', v_new::text, 'Limits of the budget, in force at once; change them with budget.set_limits')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = budget._now();
    PERFORM budget._note_change('budget_limits_changed', 'The budget limits were changed.', v_old, v_new::text);
    PERFORM budget._end_write(v_lock_timeout);
    RETURN QUERY SELECT l.* FROM budget.limits() AS l;
END
$function$;

REVOKE ALL ON FUNCTION budget.set_limits(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.set_limits(jsonb) TO budget_admin;
COMMENT ON FUNCTION budget.set_limits(jsonb) IS
'Replaces the given keys of the limits and checks the whole. One row: the limits in force.

p_limits  a JSON object with any of daily_soft_cap, daily_hard_cap, emergency_kill (numbers, in one currency),
          timezone (a name of pg_timezone_names), reservation_ttl (text such as "1 hour", at most 24 hours),
          on_expiry ("release" or "keep"), exempt_services (an array of names); keys it does not know are kept too

Keys that are not given stay; over a broken configuration it starts from {}. The old and the new value are kept in an
escalation of severity info. Decisions that take their lock after the commit see the new limits.
Errors: 22023 not an object; PB005 the whole would be broken; 55P03 lock wait.
Locks: the configuration''s row, until the end of the transaction.';
-- end functions/set_limits.sql

-- begin functions/freeze.sql
CREATE OR REPLACE FUNCTION budget.freeze(p_reason text)
RETURNS TABLE (frozen boolean, reason text, since timestamptz)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text;
    v_value jsonb;
BEGIN
    IF coalesce(p_reason, '') = '' THEN
        RAISE EXCEPTION 'a freeze needs a reason'
            USING ERRCODE = '22023', DETAIL = 'p_reason is null or empty.', HINT = 'Whoever is refused will read it.';
    END IF;
    v_lock_timeout := budget._begin_write();
    v_value := budget._metadata(
        jsonb_build_object('reason', p_reason, 'by', session_user, 'since', budget._iso(budget._now())), 'p_reason'
    );
    INSERT INTO public.system_config (key, value, description)
    VALUES ('budget_freeze', v_value::text, 'While this row is here nothing can be reserved; see budget.unfreeze')
    ON CONFLICT (key) DO NOTHING; -- frozen already: the first reason stands
    IF FOUND THEN
        PERFORM budget._note_change('budget_frozen', 'The budget was frozen: ' || p_reason, NULL, v_value::text);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN QUERY SELECT f.frozen, f.reason, f.since FROM budget._freeze_state() AS f;
END
$function$;

REVOKE ALL ON FUNCTION budget.freeze(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.freeze(text) TO budget_admin;
COMMENT ON FUNCTION budget.freeze(text) IS
'The kill switch: every reserve and extend that decides after this commit is refused, also for exempt services. Settle,
cancel and record go on. One row: the freeze in force.

p_reason  why, at most 64 KiB; it is kept with the session''s user and the time. While frozen, another freeze changes nothing.

Errors: 22023 no reason; 55P03 lock wait. Locks: one row of system_config; it waits for no reservation.';
-- end functions/freeze.sql

-- begin functions/unfreeze.sql
CREATE OR REPLACE FUNCTION budget.unfreeze()
RETURNS TABLE (frozen boolean, reason text, since timestamptz)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_write();
    v_value text;
BEGIN
    DELETE FROM public.system_config AS c WHERE c.key = 'budget_freeze' RETURNING c.value INTO v_value;
    IF FOUND THEN
        PERFORM budget._note_change('budget_unfrozen', 'The budget was unfrozen.', v_value, NULL);
    END IF;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN QUERY SELECT f.frozen, f.reason, f.since FROM budget._freeze_state() AS f;
END
$function$;

REVOKE ALL ON FUNCTION budget.unfreeze() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.unfreeze() TO budget_admin;
COMMENT ON FUNCTION budget.unfreeze() IS
'Ends a freeze; without one it changes nothing. One row: frozen is false.
Errors: 55P03 lock wait. Locks: one row of system_config.';
-- end functions/unfreeze.sql

-- begin functions/detect_hard_stop.sql
CREATE OR REPLACE FUNCTION budget.detect_hard_stop(p_task_description text)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_security CONSTANT text[] := ARRAY[
        'sql injection', 'xss', 'csrf', 'authentication', 'authorization', 'encryption', 'password hashing',
        'api keys', 'secrets management', 'access control', 'input validation', 'sanitization'
    ];
    c_architecture CONSTANT text[] := ARRAY[
        'api contract', 'schema change', 'breaking change', 'database migration', 'event schema',
        'integration contract', 'system design', 'architectural decision'
    ];
BEGIN
    IF p_task_description IS NULL THEN
        RAISE EXCEPTION 'a task without a description cannot be checked for a hard stop'
            USING ERRCODE = '22023', DETAIL = 'p_task_description is null.', HINT = 'Give the text of the task.';
    END IF;
    RETURN EXISTS (
        SELECT
        FROM unnest(c_security || c_architecture) AS k (keyword)
        -- "C", because in a Turkish locale the lower case of AUTHENTICATION has no dot on its i.
        WHERE position(k.keyword IN lower(p_task_description COLLATE "C")) > 0
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.detect_hard_stop(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.detect_hard_stop(text) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.detect_hard_stop(text) IS
'Does the task touch security or architecture, so that the strongest proposer must take it?

p_task_description  the text; it is searched without regard to case

Errors: 22023 null. Locks: none.';
-- end functions/detect_hard_stop.sql

-- begin functions/route_work_order.sql
CREATE OR REPLACE FUNCTION budget.route_work_order(
    p_work_order_id uuid,
    p_task_description text,
    p_context_requirements jsonb,
    p_complexity_score numeric,
    p_approved_by_director boolean
)
RETURNS jsonb
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    c_service_name CONSTANT text := 'manager-routing';
    c_metadata CONSTANT jsonb := jsonb_build_object('work_order_id', p_work_order_id);
    v_lock_timeout text;
    v_order public.work_orders;
    v_hard_stop boolean;
    v_estimate numeric;
    v_verdict budget.verdict;
    v_config budget._config;
    v_status text;
    v_decision jsonb;
BEGIN
    IF p_approved_by_director IS NOT TRUE THEN
        RETURN budget._routing_refused('Work Order must be approved by Director before routing');
    END IF;
    IF NOT EXISTS (SELECT FROM budget._active_proposers()) THEN
        RETURN budget._routing_refused('No active proposers available');
    END IF;
    v_hard_stop := budget.detect_hard_stop(p_task_description);
    v_estimate := budget.estimate(p_complexity_score, v_hard_stop);

    v_lock_timeout := budget._begin_decision();
    v_order := budget._lock_order(p_work_order_id);
    -- All of the room: it is given back in part before it is asked for.
    PERFORM budget._serialise('advisory', ARRAY[ROW(c_service_name, c_metadata, NULL, 1e15)::budget._posting]);
    PERFORM budget._cancel_order_holds(
        p_work_order_id, v_order.metadata #>> '{manager_routing,routing_metadata,budget_reservation_id}'
    );
    v_verdict := budget._reserve(
        'advisory', v_estimate, c_service_name, c_metadata, NULL, NULL, p_work_order_id
    );
    IF v_verdict.can_proceed THEN
        v_config := budget._require_config();
        v_status := budget._budget_status(v_config, v_verdict.current_total);
        IF v_status = 'emergency_kill' THEN
            -- Only a service that no limit refuses gets here, and routing stops at the kill all the same.
            PERFORM budget.cancel(v_verdict.reservation_id, 'emergency kill');
            v_verdict.can_proceed := false;
            v_verdict.reason := 'exhausted';
            PERFORM budget._escalate_refusal(
                v_config, v_verdict, v_estimate, c_service_name, c_metadata, budget._now(), p_work_order_id
            );
        END IF;
    END IF;
    IF NOT v_verdict.can_proceed THEN
        PERFORM budget._end_write(v_lock_timeout);
        RETURN budget._routing_refused('Daily budget limit exceeded');
    END IF;

    v_decision := budget._routing_decision(p_complexity_score, v_hard_stop, v_status, v_verdict);
    UPDATE public.work_orders AS w
    SET
        metadata = coalesce(w.metadata, '{}') || jsonb_build_object(
            'manager_routing', v_decision || jsonb_build_object('routed_at', budget._iso(budget._now()))
        ),
        updated_at = budget._now()
    WHERE w.id = p_work_order_id;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN jsonb_build_object('success', true, 'routing_decision', v_decision);
END
$function$;

REVOKE ALL ON FUNCTION budget.route_work_order(uuid, text, jsonb, numeric, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.route_work_order(uuid, text, jsonb, numeric, boolean) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.route_work_order(uuid, text, jsonb, numeric, boolean) IS
'Reserves the budget for a work order, chooses its proposer and stores the decision, in one transaction: an error
undoes all.

p_work_order_id         the order; one that is not in the table is routed all the same, without being stored
p_task_description      searched for the words of a hard stop
p_context_requirements  taken for the caller''s convenience; no rule reads it
p_complexity_score      finite; see budget.estimate for its tiers
p_approved_by_director  without true nothing is routed, and nothing reserved

Returns {success: true, routing_decision} or {success: false, error}. The decision goes into the order''s
metadata.manager_routing, beside what is there; routing_metadata.budget_reservation_id is the hold to settle or cancel.
Routing an order again first cancels its open hold. A refusal by the budget is escalated once per order and day.
Errors: 22023 bad argument, or metadata of the order that is no object; PB001 not READ COMMITTED; PB005 broken
configuration; PB006 the ledger did not keep the row; 55P03 lock wait.
Locks: the order''s row, then those of budget.reserve_advisory.';
-- end functions/route_work_order.sql

-- begin functions/retry_strategy.sql
CREATE OR REPLACE FUNCTION budget.retry_strategy(
    p_current_proposer text,
    p_attempt integer,
    p_failure_reason text
)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    c_attempts CONSTANT integer := 3;
    v_threshold numeric;
    v_action text := 'escalate';
    v_proposer text;
BEGIN
    SELECT p.complexity_threshold
    INTO v_threshold
    FROM public.proposer_configs AS p
    WHERE p.name = p_current_proposer;
    IF NOT FOUND OR p_attempt IS NULL OR p_attempt < 1 THEN
        RAISE EXCEPTION 'a retry needs a known proposer and the number of the attempt that failed'
            USING ERRCODE = '22023',
            DETAIL = format('p_current_proposer is %L, p_attempt is %L.', p_current_proposer, p_attempt),
            HINT = 'The first attempt is number 1.';
    END IF;

    IF p_attempt = 1 THEN
        v_action := 'retry_same';
        v_proposer := p_current_proposer;
    ELSIF p_attempt < c_attempts THEN
        SELECT a.name
        INTO v_proposer
        FROM budget._active_proposers() AS a
        WHERE a.complexity_threshold > v_threshold
        ORDER BY a.complexity_threshold, a.price, a.place
        LIMIT 1;
        v_action := CASE WHEN FOUND THEN 'retry_stronger' ELSE 'escalate' END;
    END IF;
    RETURN jsonb_build_object(
        'should_retry', v_action <> 'escalate',
        'action', v_action,
        'proposer', v_proposer,
        'attempt', p_attempt + 1,
        'max_attempts', c_attempts,
        'failure_reason', p_failure_reason
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.retry_strategy(text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.retry_strategy(text, integer, text) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.retry_strategy(text, integer, text) IS
'What to do after a failed attempt, of three at most: the first retry keeps the proposer, the second moves to the next
active one of a higher complexity threshold, and after that, or where there is none, a human is asked.

p_current_proposer  the proposer that failed, a name of proposer_configs
p_attempt           the number of the attempt that failed, from 1
p_failure_reason    why; handed back

Returns {should_retry, action: retry_same | retry_stronger | escalate, proposer, attempt (the next), max_attempts,
failure_reason}. Errors: 22023 bad argument or unknown proposer. Locks: none.';
-- end functions/retry_strategy.sql

-- begin functions/escalate.sql
CREATE OR REPLACE FUNCTION budget.escalate(
    p_component text,
    p_operation text,
    p_error text,
    p_work_order_id uuid DEFAULT NULL,
    p_severity text DEFAULT 'critical',
    p_metadata jsonb DEFAULT '{}'
)
RETURNS uuid
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_id uuid := gen_random_uuid();
    v_metadata jsonb := budget._metadata(p_metadata);
    v_lock_timeout text;
BEGIN
    IF '' IN (coalesce(p_component, ''), coalesce(p_operation, ''), coalesce(p_error, ''), coalesce(p_severity, '')) THEN
        RAISE EXCEPTION 'an escalation names its component, operation, error and severity'
            USING ERRCODE = '22023',
            DETAIL = format('Given: %L, %L, %L, %L.', p_component, p_operation, p_error, p_severity),
            HINT = 'A human will read it: leave none of them empty.';
    END IF;
    PERFORM budget._metadata(jsonb_build_object('text', p_component || p_operation || p_error || p_severity), 'the text');
    v_lock_timeout := budget._begin_write();
    PERFORM budget._write_escalation(
        v_id, 'error', p_severity, p_component, p_operation,
        format('%s, %s: %s', p_component, p_operation, p_error), v_metadata, p_work_order_id, 'pending'
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN v_id;
END
$function$;

REVOKE ALL ON FUNCTION budget.escalate(text, text, text, uuid, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.escalate(text, text, text, uuid, text, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.escalate(text, text, text, uuid, text, jsonb) IS
'Asks a human to look: one row in public.escalations, status pending. Returns its id.

p_component, p_operation  where it happened
p_error                   what happened; it stands in reason, after component and operation; at most 64 KiB of text in all
p_work_order_id           the work order, if one is concerned; an id that is not in the table is kept in context alone
p_severity                critical, high, warning or info
p_metadata                a JSON object, at most 64 KiB, merged into context

Errors: 22023 bad argument. Locks: the work order''s key, as every foreign key does.';
-- end functions/escalate.sql

-- begin functions/version.sql
CREATE OR REPLACE FUNCTION budget.version()
RETURNS text
LANGUAGE sql
IMMUTABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT '1.0'::text;
$function$;

REVOKE ALL ON FUNCTION budget.version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.version() TO budget_caller, budget_admin, budget_reader;
COMMENT ON FUNCTION budget.version() IS
'The version of this API, major.minor. A driver refuses a database that is behind it. Locks: none.';
-- end functions/version.sql

-- begin functions/_internal/_drift.sql
CREATE OR REPLACE FUNCTION budget._drift()
RETURNS TABLE (budget text, member text, starts_at timestamptz, balance numeric, ledger numeric)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN; -- the day is summed from the ledger: there is no balance that could differ
END
$function$;

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._drift() TO budget_reader;
COMMENT ON FUNCTION budget._drift() IS 'Balances that differ from the sum of their ledger rows: none in this series.';
-- end functions/_internal/_drift.sql

-- begin views/status.sql
CREATE OR REPLACE VIEW budget.status
WITH (security_barrier = true) AS
SELECT
    r.day,
    r.timezone,
    r.daily_soft_cap,
    r.daily_hard_cap,
    r.emergency_kill,
    t.settled,
    t.held,
    r.emergency_kill - t.settled - t.held AS remaining,
    round((t.settled + t.held) / nullif(r.emergency_kill, 0), 4) AS share_used,
    t.open_holds,
    t.oldest_hold,
    r.frozen,
    r.frozen_reason,
    r.ends_at AS resets_at,
    r.unknown_keys,
    r.config_error
FROM budget._reading() AS r
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(l.cost) FILTER (WHERE l.expires_at IS NULL OR l.expires_at <= r.now), 0) AS settled,
        coalesce(sum(l.cost) FILTER (WHERE l.expires_at > r.now), 0) AS held,
        count(*) FILTER (WHERE l.expires_at > r.now) AS open_holds,
        min(l.created_at) FILTER (WHERE l.expires_at > r.now) AS oldest_hold
    FROM public.cost_tracking AS l
    WHERE
        l.created_at >= r.starts_at
        AND l.created_at < r.ends_at
        AND (l.expires_at IS NULL OR l.expires_at > r.now OR r.on_expiry = 'keep')
) AS t;

REVOKE ALL ON budget.status FROM PUBLIC;
GRANT SELECT ON budget.status TO budget_reader;
COMMENT ON VIEW budget.status IS
'The day as it stands, one row. settled, held, remaining and the limits are in the currency of the limits; share_used
is (settled + held) / emergency_kill. Holds of other days are in budget.open_holds. Under a broken configuration
config_error says what is wrong, the day is that of UTC and the limits are NULL. unknown_keys: keys of the limits
that nothing enforces.';
-- end views/status.sql

-- begin views/open_holds.sql
-- The outer join calls _reading whatever the ledger shows: under forced row security it must fail, not find nothing.
-- The barrier keeps a reader's own functions from the rows that are left out.
CREATE OR REPLACE VIEW budget.open_holds
WITH (security_barrier = true) AS
SELECT
    l.id AS reservation_id,
    l.service_name,
    l.cost AS estimated_cost,
    CASE WHEN (budget._window(l.created_at, r.timezone)).day IS NOT NULL THEN l.created_at END AS reserved_at,
    l.expires_at,
    l.metadata -> 'original_metadata' AS metadata
FROM budget._reading() AS r
LEFT JOIN public.cost_tracking AS l ON l.expires_at > r.now
WHERE num_nonnulls(l.id) = 1; -- IS NOT NULL would turn it into an inner join

REVOKE ALL ON budget.open_holds FROM PUBLIC;
GRANT SELECT ON budget.open_holds TO budget_reader;
COMMENT ON VIEW budget.open_holds IS
'Every hold that counts now, of whatever day, with its estimate in the currency of the limits and its caller''s
metadata. reserved_at is NULL where a direct writer dated it so that it is on no day.';
-- end views/open_holds.sql

-- begin views/daily_spend.sql
-- The days are found one after the other in the index, and each is added up by itself: who asks for one day reads that
-- alone. What is on no day (budget._has_day), since a direct writer made it at 'infinity', comes last.
CREATE OR REPLACE VIEW budget.daily_spend
WITH (security_barrier = true) AS
WITH RECURSIVE reading AS MATERIALIZED (
    SELECT
        r.now,
        r.timezone,
        r.on_expiry
    FROM budget._reading() AS r
),

days (day, starts_at, ends_at) AS (
    SELECT
        w.day,
        w.starts_at,
        w.ends_at
    FROM reading AS r
    CROSS JOIN LATERAL budget._window(
        (
            SELECT min(l.created_at)
            FROM public.cost_tracking AS l
            WHERE l.created_at >= timestamptz '0002-01-01 00:00:00+00'
        ), r.timezone
    ) AS w
    WHERE w.day IS NOT NULL
    UNION ALL
    SELECT
        w.day,
        w.starts_at,
        w.ends_at
    FROM days AS d
    CROSS JOIN reading AS r
    CROSS JOIN LATERAL budget._window(
        (
            SELECT min(l.created_at)
            FROM public.cost_tracking AS l
            WHERE l.created_at >= d.ends_at
        ), r.timezone
    ) AS w
    WHERE w.day IS NOT NULL
)

SELECT
    d.day,
    s.service_name,
    s.settled,
    s.held,
    s.cancelled,
    s.expired,
    s.calls
FROM reading AS r
CROSS JOIN (
    SELECT
        d.day,
        d.starts_at,
        d.ends_at - interval '1 microsecond' AS last_at
    FROM days AS d
    UNION ALL
    SELECT
        NULL AS day,
        n.starts_at,
        n.last_at
    FROM (
        VALUES
        (timestamptz '-infinity', timestamptz '0002-01-01 00:00:00+00' - interval '1 microsecond'),
        (timestamptz '9999-01-01 00:00:00+00', 'infinity')
    ) AS n (starts_at, last_at)
) AS d
CROSS JOIN LATERAL (
    SELECT
        l.service_name,
        coalesce(sum(l.cost) FILTER (WHERE h.state IN ('spent', 'kept')), 0) AS settled,
        coalesce(sum(l.cost) FILTER (WHERE h.state = 'held'), 0) AS held,
        coalesce(sum(h.estimated_cost) FILTER (WHERE h.state = 'cancelled'), 0) AS cancelled,
        coalesce(sum(h.estimated_cost) FILTER (WHERE h.state IN ('expired', 'kept')), 0) AS expired,
        count(*) AS calls
    FROM public.cost_tracking AS l
    CROSS JOIN LATERAL (
        SELECT
            -- Metadata of rows that never were holds is the application's own, and may hold anything.
            CASE
                WHEN l.expires_at IS NOT NULL THEN l.cost
                WHEN l.metadata ->> 'estimated_cost' ~ '^[0-9]+([.][0-9]+)?$'
                    THEN (l.metadata ->> 'estimated_cost')::numeric
                ELSE 0
            END AS estimated_cost,
            CASE
                WHEN l.expires_at > r.now THEN 'held'
                WHEN l.expires_at IS NOT NULL AND r.on_expiry = 'keep' THEN 'kept'
                WHEN l.expires_at IS NOT NULL THEN 'expired'
                WHEN NOT coalesce(l.metadata ? 'reserved_at', false) THEN 'spent'
                WHEN l.metadata ->> 'type' = 'cancelled' THEN 'cancelled'
                WHEN l.metadata ->> 'type' = 'expired' AND l.cost > 0 THEN 'kept'
                WHEN l.metadata ->> 'type' = 'expired' THEN 'expired'
                ELSE 'spent'
            END AS state
    ) AS h
    WHERE l.created_at BETWEEN d.starts_at AND d.last_at
    GROUP BY l.service_name
) AS s;

REVOKE ALL ON budget.daily_spend FROM PUBLIC;
GRANT SELECT ON budget.daily_spend TO budget_reader;
COMMENT ON VIEW budget.daily_spend IS
'Spend per day (in the zone in force) and service, in the currency of the limits: settled, held now, the estimates of
what was cancelled and of what lapsed, and the number of ledger rows. settled + held is what counts; where on_expiry
is keep, a lapsed hold stands in settled and in expired.';
-- end views/daily_spend.sql

-- begin functions/_internal/_escalated.sql
-- Of the application's table a reader of the budget sees the budget's rows alone. Where row security hides rows from
-- us, it is an error, not a part.
CREATE OR REPLACE FUNCTION budget._escalated()
RETURNS SETOF public.escalations
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN QUERY SELECT e.* FROM public.escalations AS e WHERE e.trigger_type LIKE 'budget\_%';
END
$function$;

REVOKE ALL ON FUNCTION budget._escalated() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._escalated() TO budget_reader;
COMMENT ON FUNCTION budget._escalated() IS 'The rows of public.escalations that are about the budget.';
-- end functions/_internal/_escalated.sql

-- begin views/escalations.sql
CREATE OR REPLACE VIEW budget.escalations
WITH (security_barrier = true) AS
SELECT
    e.id,
    e.created_at,
    e.trigger_type AS kind,
    e.context ->> 'severity' AS severity,
    e.context ->> 'subject' AS subject,
    e.reason,
    e.status,
    e.work_order_id,
    e.context
FROM budget._escalated() AS e;

REVOKE ALL ON budget.escalations FROM PUBLIC;
GRANT SELECT ON budget.escalations TO budget_reader;
COMMENT ON VIEW budget.escalations IS
'What was escalated about the budget: refusals (budget_refused), caps that were reached (budget_daily_soft_cap,
budget_daily_hard_cap, budget_emergency_kill), spend above the limit (budget_overrun), and who changed, froze and unfroze
it (severity info). context has the figures, amounts as text.';
-- end views/escalations.sql

-- begin views/hourly_spend.sql
-- The outer join is as in daily_spend: an hour without spend is a row too, and forced row security makes it fail.
CREATE OR REPLACE VIEW budget.hourly_spend
WITH (security_barrier = true) AS
SELECT
    h.starts_at AS hour,
    coalesce(sum(l.cost) FILTER (WHERE l.expires_at IS NULL OR l.expires_at <= r.now), 0) AS settled,
    coalesce(sum(l.cost) FILTER (WHERE l.expires_at > r.now), 0) AS held,
    count(l.id) AS calls
FROM budget._reading() AS r
CROSS JOIN LATERAL generate_series(
    r.starts_at, r.ends_at - interval '1 microsecond', interval '1 hour'
) AS h (starts_at)
LEFT JOIN public.cost_tracking AS l
    ON
        l.created_at >= h.starts_at
        AND l.created_at < least(h.starts_at + interval '1 hour', r.ends_at)
        AND (l.expires_at IS NULL OR l.expires_at > r.now OR r.on_expiry = 'keep')
GROUP BY h.starts_at;

REVOKE ALL ON budget.hourly_spend FROM PUBLIC;
GRANT SELECT ON budget.hourly_spend TO budget_reader;
COMMENT ON VIEW budget.hourly_spend IS
'The day in force by its hours, those to come included: what was settled and what is held now of the calls that began
in each, and how many they are, in the currency of the limits. The hours together are the settled and held of
budget.status.';
-- end views/hourly_spend.sql

-- begin views/invariants.sql
-- The barrier keeps a reader's own functions from the rows that break no rule; a UNION ALL of the view's own would let
-- them through.
CREATE OR REPLACE VIEW budget.invariants
WITH (security_barrier = true) AS
WITH broken (rule, id, detail) AS (
    SELECT
        f.rule,
        l.id,
        format('cost %s, metadata.type %s, expires_at %s', l.cost, l.metadata ->> 'type', l.expires_at) AS detail
    FROM public.cost_tracking AS l
    CROSS JOIN LATERAL (
        SELECT coalesce(
            l.metadata ? 'reserved_at'
            AND l.metadata ->> 'type' IN ('reservation', 'actual', 'cancelled', 'expired'),
            false
        ) AS began_as_hold
    ) AS b
    CROSS JOIN LATERAL (
        VALUES
        ('a cost is at least 0 and below 1e15', l.cost >= 0 AND l.cost < 1e15),
        ('every row has a creation time', l.created_at IS NOT NULL),
        (
            'every hold is in a state of its life',
            NOT coalesce(
                l.metadata ?& ARRAY['reserved_at', 'requested_cost', 'estimated_cost', 'original_metadata'], false
            )
            OR l.metadata ->> 'type' IN ('reservation', 'actual', 'cancelled', 'expired')
        ),
        ('only an open hold has an expiry', l.expires_at IS NULL OR l.metadata ->> 'type' = 'reservation'),
        (
            'an open hold has an expiry',
            NOT (b.began_as_hold AND l.metadata ->> 'type' = 'reservation' AND l.expires_at IS NULL)
        ),
        ('a row that began as a hold keeps its estimate', NOT b.began_as_hold OR l.metadata ? 'estimated_cost'),
        (
            'an open hold counts its estimate',
            l.expires_at IS NULL
            OR l.metadata ->> 'estimated_cost' IS NULL
            OR l.metadata ->> 'estimated_cost' = l.cost::text
        ),
        ('a cancelled hold costs nothing', NOT b.began_as_hold OR l.metadata ->> 'type' <> 'cancelled' OR l.cost = 0)
    ) AS f (rule, holds)
    WHERE f.holds IS NOT TRUE
    UNION ALL
    SELECT
        'the total is the sum of its parts',
        NULL,
        format('by expiry: settled %s, held %s; by state: settled %s, held %s', t.settled, t.held, t.spent, t.open)
    FROM budget._reading() AS r
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(l.cost) FILTER (WHERE l.expires_at IS NULL), 0) AS settled,
            coalesce(sum(l.cost) FILTER (WHERE l.expires_at > r.now), 0) AS held,
            coalesce(sum(l.cost) FILTER (WHERE NOT s.is_open), 0) AS spent,
            coalesce(sum(l.cost) FILTER (WHERE s.is_open), 0) AS open
        FROM public.cost_tracking AS l
        CROSS JOIN LATERAL (
            SELECT coalesce(l.metadata ->> 'type' = 'reservation' AND l.expires_at IS NOT NULL, false) AS is_open
        ) AS s
        WHERE
            l.created_at >= r.starts_at
            AND l.created_at < r.ends_at
            AND (l.expires_at IS NULL OR l.expires_at > r.now)
    ) AS t
    WHERE (t.settled, t.held) IS DISTINCT FROM (t.spent, t.open)
    UNION ALL
    SELECT
        'a balance is the sum of its ledger rows',
        NULL,
        format('budget %s, member %s, from %s: %s, ledger %s', d.budget, d.member, d.starts_at, d.balance, d.ledger)
    FROM budget._drift() AS d
)

SELECT
    x.rule,
    x.id,
    x.detail
FROM broken AS x;

REVOKE ALL ON budget.invariants FROM PUBLIC;
GRANT SELECT ON budget.invariants TO budget_reader;
COMMENT ON VIEW budget.invariants IS
'No rows when healthy; else one row for each broken rule and ledger row. Alert on the first row.';
-- end views/invariants.sql

-- Nobody could call anything before all of it was closed to PUBLIC.
GRANT USAGE ON SCHEMA budget TO budget_caller, budget_admin, budget_reader;

DO $do$
BEGIN
    PERFORM budget._keep_found();
END
$do$;

RESET search_path;
