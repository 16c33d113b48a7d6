-- The budgets series' schema as pg_dump shows it, without the functions' bodies: those stand in budgets/functions.
-- It is built on core's, which is part of it.

-- PostgreSQL database dump

SELECT pg_catalog.set_config('search_path', '', false);

-- Name: budget; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA budget;

-- Name: SCHEMA budget; Type: COMMENT; Schema: -; Owner: -

COMMENT ON SCHEMA budget IS 'pgbudget: a spend limit that the database itself enforces.';

-- Name: _config; Type: TYPE; Schema: budget; Owner: -

CREATE TYPE budget._config AS (
	daily_soft_cap numeric,
	daily_hard_cap numeric,
	emergency_kill numeric,
	timezone text,
	reservation_ttl interval,
	on_expiry text,
	exempt_services jsonb,
	frozen boolean,
	error text
);

-- Name: TYPE _config; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TYPE budget._config IS 'The limits in force, read once per call.';

-- Name: _match; Type: TYPE; Schema: budget; Owner: -

CREATE TYPE budget._match AS (
	budget text,
	dimension text,
	member text,
	starts_at timestamp with time zone,
	ends_at timestamp with time zone,
	limit_amount numeric,
	enforcement text,
	slots integer,
	slot integer,
	amount numeric
);

-- Name: TYPE _match; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TYPE budget._match IS 'A balance that postings belong to: its budget, window, limit in force, the slot of this session, and their amount.';

-- Name: _posting; Type: TYPE; Schema: budget; Owner: -

CREATE TYPE budget._posting AS (
	service_name text,
	request jsonb,
	created_at timestamp with time zone,
	amount numeric
);

-- Name: TYPE _posting; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TYPE budget._posting IS 'What a request, or a ledger row, adds to the budgets that it belongs to.';

-- Name: outcome; Type: TYPE; Schema: budget; Owner: -

CREATE TYPE budget.outcome AS (
	reservation_id uuid,
	status text,
	estimated_cost numeric,
	actual_cost numeric,
	over_limit boolean,
	late boolean
);

-- Name: TYPE outcome; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TYPE budget.outcome IS 'What became of a hold, or of spend that had none.';

-- Name: verdict; Type: TYPE; Schema: budget; Owner: -

CREATE TYPE budget.verdict AS (
	can_proceed boolean,
	current_total numeric,
	reservation_id uuid,
	reason text,
	budget text,
	limit_amount numeric,
	remaining numeric,
	resets_at timestamp with time zone,
	retry_at timestamp with time zone,
	expires_at timestamp with time zone
);

-- Name: TYPE verdict; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TYPE budget.verdict IS 'The answer to a reservation: may the call go on, and why or why not.';

-- Name: _active_proposers(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._active_proposers() RETURNS TABLE(name text, complexity_threshold numeric, price numeric, place bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _active_proposers(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._active_proposers() IS 'The proposers that may be chosen, with the price of an input token and their place in the order they were added.';

-- Name: _admit(budget._config, numeric, text, jsonb, timestamp with time zone, uuid, interval, uuid); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._admit(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid) RETURNS budget.verdict
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _admit(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._admit(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid) IS 'The verdict on a request under the decision lock, with its hold where it is granted. A refusal is escalated once a day
for the service, or for the work order where one is given.';

-- Name: _admit_all(budget._config, timestamp with time zone, budget._posting[], uuid[], interval[]); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._admit_all(p_config budget._config, p_now timestamp with time zone, p_postings budget._posting[], p_ids uuid[], p_ttls interval[]) RETURNS SETOF budget.verdict
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _admit_all(p_config budget._config, p_now timestamp with time zone, p_postings budget._posting[], p_ids uuid[], p_ttls interval[]); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._admit_all(p_config budget._config, p_now timestamp with time zone, p_postings budget._posting[], p_ids uuid[], p_ttls interval[]) IS 'Grants requests as if they came one after another, under the decision lock, if all of them fit and none is a repeat.
No rows, and nothing done, when not.';

-- Name: _adopt_hold(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._adopt_hold() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _adopt_hold(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._adopt_hold() IS 'Trigger on holds inserted without an expiry: they lapse at created_at + reservation_ttl and get our keys.';

-- Name: _adopted_function(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._adopted_function() RETURNS regprocedure
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _adopted_function(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._adopted_function() IS 'The application''s own check_and_reserve_budget, if ours has not taken its place; else NULL.';

-- Name: _balance(budget._config, text, text, text, timestamp with time zone, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._balance(p_config budget._config, p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _balance(p_config budget._config, p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._balance(p_config budget._config, p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone) IS 'What is spent and held of a member''s window at an instant.';

-- Name: _batch(jsonb, text, text[]); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._batch(p_elements jsonb, p_argument text, p_keys text[]) RETURNS SETOF jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _batch(p_elements jsonb, p_argument text, p_keys text[]); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._batch(p_elements jsonb, p_argument text, p_keys text[]) IS 'The elements of a batch in their order: objects of which no key is unknown. Errors: 22023.';

-- Name: _begin_decision(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._begin_decision() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _begin_decision(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._begin_decision() IS 'What budget._begin_write does, for whoever is going to decide. Errors: PB001 at any level but READ COMMITTED.';

-- Name: _begin_write(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._begin_write() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _begin_write(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._begin_write() IS 'Makes the commit durable and bounds each wait for a lock to 5 s or the caller''s own lock_timeout if that is shorter.
Returns the caller''s lock_timeout, for budget._end_write.';

-- Name: _booked(text, text, text, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._booked(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _booked(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._booked(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) IS 'What the ledger rows of a member in a window come to, holds that have lapsed and are not marked yet among them.';

-- Name: _budget_standing(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._budget_standing() RETURNS TABLE(name text, dimension text, member text, period text, limit_amount numeric, spent numeric, held numeric, remaining numeric, resets_at timestamp with time zone, enforcement text, is_active boolean, raised_by numeric, raised_until timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _budget_standing(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._budget_standing() IS 'What the view budget.budget_status shows.';

-- Name: _budget_status(budget._config, numeric); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._budget_status(p_config budget._config, p_total numeric) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _budget_status(p_config budget._config, p_total numeric); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._budget_status(p_config budget._config, p_total numeric) IS 'Which of the caps the day''s total has reached.';

-- Name: _cancel_order_holds(uuid, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._cancel_order_holds(p_work_order_id uuid, p_last_reservation_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _cancel_order_holds(p_work_order_id uuid, p_last_reservation_id text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._cancel_order_holds(p_work_order_id uuid, p_last_reservation_id text) IS 'Cancels what earlier routings of the work order still hold. Errors: PB006.';

-- Name: _choose_proposer(numeric, boolean, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._choose_proposer(p_score numeric, p_hard_stop boolean, p_budget_status text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _choose_proposer(p_score numeric, p_hard_stop boolean, p_budget_status text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._choose_proposer(p_score numeric, p_hard_stop boolean, p_budget_status text) IS 'Which active proposer takes a task of this complexity, why, and who stands in for it. Errors: PB005 none is active.';

-- Name: _code_rights(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._code_rights() RETURNS TABLE(right_name text, table_name text, grantee text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _code_rights(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._code_rights() IS 'The rights with which others than its owner could have a table run their code: TRIGGER on any of ours, and REFERENCES
on the settings.';

-- Name: cost_tracking; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.cost_tracking (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    service_name text NOT NULL,
    cost numeric NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamp with time zone DEFAULT now(),
    expires_at timestamp with time zone,
    CONSTRAINT budget_cost_in_range CHECK (((cost >= (0)::numeric) AND (cost < '1000000000000000'::numeric))),
    CONSTRAINT budget_created_at_present CHECK ((created_at IS NOT NULL)),
    CONSTRAINT budget_expiry_of_hold CHECK (((expires_at IS NULL) OR ((NOT ((metadata ->> 'type'::text) IS DISTINCT FROM 'reservation'::text)) AND (expires_at < '9999-01-01 00:00:00+00'::timestamp with time zone))))
);

-- Name: TABLE cost_tracking; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.cost_tracking IS 'Created by pgbudget.';

-- Name: COLUMN cost_tracking.expires_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.cost_tracking.expires_at IS 'When an open hold lapses and counts nothing any more; NULL on every other row. Kept by pgbudget.';

-- Name: _counted(budget._config, timestamp with time zone, public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._counted(p_config budget._config, p_now timestamp with time zone, p_row public.cost_tracking) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _counted(p_config budget._config, p_now timestamp with time zone, p_row public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._counted(p_config budget._config, p_now timestamp with time zone, p_row public.cost_tracking) IS 'What a ledger row counts in its window at this instant; 0 for no row.';

-- Name: _day_start(date, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._day_start(p_day date, p_zone text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS …;

-- Name: FUNCTION _day_start(p_day date, p_zone text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._day_start(p_day date, p_zone text) IS 'The earliest instant whose date in the zone is this day.';

-- Name: _decide(budget._config, numeric, text, jsonb, timestamp with time zone, public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._decide(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) RETURNS budget.verdict
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _decide(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._decide(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) IS 'The verdict on an amount: the headroom, the freeze that refuses everyone, and the services that no limit refuses.';

-- Name: _drift(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._drift() RETURNS TABLE(budget text, member text, starts_at timestamp with time zone, balance numeric, ledger numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _drift(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._drift() IS 'The balances that, with their postings, are not the sum of their ledger rows, or whose slots have not the room of their
limit. None when healthy.';

-- Name: _element_error(text, text, text, text, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._element_error(p_place text, p_sqlstate text, p_message text, p_detail text, p_hint text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _element_error(p_place text, p_sqlstate text, p_message text, p_detail text, p_hint text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._element_error(p_place text, p_sqlstate text, p_message text, p_detail text, p_hint text) IS 'Raises an error that an element of a batch met, with its place in DETAIL.';

-- Name: _elements(jsonb, text, text[]); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._elements(p_elements jsonb, p_argument text, p_keys text[], OUT ids uuid[], OUT amounts numeric[], OUT postings budget._posting[], OUT ttls interval[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _elements(p_elements jsonb, p_argument text, p_keys text[], OUT ids uuid[], OUT amounts numeric[], OUT postings budget._posting[], OUT ttls interval[]); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._elements(p_elements jsonb, p_argument text, p_keys text[], OUT ids uuid[], OUT amounts numeric[], OUT postings budget._posting[], OUT ttls interval[]) IS 'The requests or settlements of a batch, their amount under the first of p_keys, checked as the function for one checks
its arguments. A request has an id. Errors: 22023, 22003, with the place of the element in the detail.';

-- Name: _end_write(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._end_write(p_lock_timeout text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _end_write(p_lock_timeout text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._end_write(p_lock_timeout text) IS 'Gives the caller its lock_timeout back.';

-- Name: _escalate_balance(budget._config, budget._match); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._escalate_balance(p_config budget._config, p_match budget._match) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _escalate_balance(p_config budget._config, p_match budget._match); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._escalate_balance(p_config budget._config, p_match budget._match) IS 'One escalation per threshold and window for a balance that is at or above it. Was there one to be written?';

-- Name: _escalate_caps(budget._config, numeric, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._escalate_caps(p_config budget._config, p_total numeric, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _escalate_caps(p_config budget._config, p_total numeric, p_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._escalate_caps(p_config budget._config, p_total numeric, p_at timestamp with time zone) IS 'One escalation per cap and day for a day whose total (settled and held) is at or above the cap.';

-- Name: _escalate_once(text, text, text, text[], text, text, jsonb, uuid, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._escalate_once(p_kind text, p_window text, p_budget text, p_subject text[], p_severity text, p_reason text, p_figures jsonb, p_work_order_id uuid, p_unlisted text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS …;

-- Name: FUNCTION _escalate_once(p_kind text, p_window text, p_budget text, p_subject text[], p_severity text, p_reason text, p_figures jsonb, p_work_order_id uuid, p_unlisted text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._escalate_once(p_kind text, p_window text, p_budget text, p_subject text[], p_severity text, p_reason text, p_figures jsonb, p_work_order_id uuid, p_unlisted text) IS 'Writes an escalation unless one of this kind, window, budget and subject is there; false then. The window is a day,
unless the figures have a day of their own. Of the subject, its first part is shown. With p_unlisted, 1000 are listed of
a kind and window, and the first of each budget in any case; the next one is that text, in which %s is that number.';

-- Name: _escalate_refusal(budget._config, budget.verdict, numeric, text, jsonb, timestamp with time zone, uuid); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._escalate_refusal(p_config budget._config, p_verdict budget.verdict, p_estimate numeric, p_service_name text, p_request jsonb, p_at timestamp with time zone, p_work_order_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _escalate_refusal(p_config budget._config, p_verdict budget.verdict, p_estimate numeric, p_service_name text, p_request jsonb, p_at timestamp with time zone, p_work_order_id uuid); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._escalate_refusal(p_config budget._config, p_verdict budget.verdict, p_estimate numeric, p_service_name text, p_request jsonb, p_at timestamp with time zone, p_work_order_id uuid) IS 'One escalation per service (or work order), budget, member and day for a refusal, with the figures behind it. After
1000 of a day one says that more are not listed.';

-- Name: _escalate_spend(budget._config, numeric, public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._escalate_spend(p_config budget._config, p_total numeric, p_row public.cost_tracking) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _escalate_spend(p_config budget._config, p_total numeric, p_row public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._escalate_spend(p_config budget._config, p_total numeric, p_row public.cost_tracking) IS 'Escalates the caps that the total has reached, and the row that took it above the limit.';

-- Name: escalations; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.escalations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    work_order_id uuid,
    trigger_type text NOT NULL,
    reason text,
    context jsonb NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    resolution_type text,
    resolution_notes text,
    resolved_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now()
);

-- Name: TABLE escalations; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.escalations IS 'Created by pgbudget.';

-- Name: _escalated(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._escalated() RETURNS SETOF public.escalations
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _escalated(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._escalated() IS 'The rows of public.escalations that are about the budget.';

-- Name: _fold(budget._match, boolean); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._fold(p_match budget._match, p_whole boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _fold(p_match budget._match, p_whole boolean); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._fold(p_match budget._match, p_whole boolean) IS 'Adds the postings that have come in to their balance: those of the own slot to it, unless it would have less than no
room, or (p_whole) those of all slots to slot 0. The caller has locked the one, or all.';

-- Name: _forbid(public.cost_tracking, text, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._forbid(p_row public.cost_tracking, p_operation text, p_given text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _forbid(p_row public.cost_tracking, p_operation text, p_given text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._forbid(p_row public.cost_tracking, p_operation text, p_given text) IS 'Errors: PB004, with the state that the ledger has and what was asked for.';

-- Name: _foreign_code(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._foreign_code() RETURNS TABLE(table_name text, found text, remedy text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _foreign_code(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._foreign_code() IS 'What would run with the rights of the ledger''s owner, or of the migrating role, and another role can change: a row for
each table and role, with what to do; table_name is NULL for an event trigger. No rows: all is well.';

-- Name: _foreign_owners(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._foreign_owners() RETURNS TABLE(table_name text, found text, remedy text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _foreign_owners(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._foreign_owners() IS 'Tables that our functions write, and functions of our names, of another owner than the ledger''s; and the ledger, where
neither the migrating role nor a superuser owns it. No rows where pgbudget.accept_owner is on.';

-- Name: _forget_balances(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._forget_balances() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _forget_balances(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._forget_balances() IS 'Trigger on TRUNCATE of the ledger: an empty one has empty windows. Errors: PB001 at any level but READ COMMITTED.';

-- Name: _former_callers(regprocedure); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._former_callers(p_function regprocedure) RETURNS TABLE(role_name text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _former_callers(p_function regprocedure); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._former_callers(p_function regprocedure) IS 'The roles that keep their way to reserve when check_and_reserve_budget becomes ours: they could call the function and
write the ledger, by whatever way, but for anon, authenticated and those whom row security may have stopped.';

-- Name: _freed(numeric, timestamp with time zone, timestamp with time zone, timestamp with time zone, uuid, text, text, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._freed(p_amount numeric, p_now timestamp with time zone, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_except_id uuid, p_on_expiry text, p_dimension text, p_member text, OUT is_enough boolean, OUT enough_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET cursor_tuple_fraction TO '0.001'
    AS …;

-- Name: FUNCTION _freed(p_amount numeric, p_now timestamp with time zone, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_except_id uuid, p_on_expiry text, p_dimension text, p_member text, OUT is_enough boolean, OUT enough_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._freed(p_amount numeric, p_now timestamp with time zone, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_except_id uuid, p_on_expiry text, p_dimension text, p_member text, OUT is_enough boolean, OUT enough_at timestamp with time zone) IS 'Whether the other open holds of a member in a window hold the amount together, and the earliest instant at which enough
of them have lapsed to free it; NULL if that never is.';

-- Name: _freeze_state(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._freeze_state(OUT frozen boolean, OUT reason text, OUT since timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _freeze_state(OUT frozen boolean, OUT reason text, OUT since timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._freeze_state(OUT frozen boolean, OUT reason text, OUT since timestamp with time zone) IS 'The kill switch: is it on, why, and since when?';

-- Name: _guard_hold(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._guard_hold() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _guard_hold(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._guard_hold() IS 'Trigger on ledger rows that began as a hold, or are to become one: allows the moves of the state machine alone.
Errors: PB004.';

-- Name: _hand_over(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._hand_over() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _hand_over(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._hand_over() IS 'For migrations, at their end: all that is of pgbudget belongs to the owner of the ledger, whoever migrates. Where that
is another role than the migrating one, pgbudget.accept_owner has to be on.';

-- Name: _has_day(timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._has_day(p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _has_day(p_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._has_day(p_at timestamp with time zone) IS 'Is the instant of the years 2 to 9998? What a direct writer dates otherwise, infinity among it, is on no day.';

-- Name: _headroom(budget._config, numeric, text, jsonb, timestamp with time zone, public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._headroom(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) RETURNS budget.verdict
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _headroom(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._headroom(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) IS 'Is there room for the amount in all budgets that it belongs to? For a new hold (p_hold null) in the windows of p_now,
for a hold that is extended in its own windows, where its amount counts once.';

-- Name: _hold_metadata(numeric, jsonb, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamp with time zone) IS 'The metadata that a hold begins with.';

-- Name: _in_short_tries(text[], text[], text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._in_short_tries(p_turns text[], p_statements text[], p_what text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _in_short_tries(p_turns text[], p_statements text[], p_what text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._in_short_tries(p_turns text[], p_statements text[], p_what text) IS 'Runs statements that lock, all of them in one try or none, for at most pgbudget.lock_patience (30s). Before each try it
waits as long as need be for the p_turns, which are to keep no plain writer waiting. Errors: 55P03.';

-- Name: _insert_balance(text, text, timestamp with time zone, timestamp with time zone, integer, numeric); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._insert_balance(p_budget text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_slots integer, p_amount numeric) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _insert_balance(p_budget text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_slots integer, p_amount numeric); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._insert_balance(p_budget text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_slots integer, p_amount numeric) IS 'Inserts the rows of a balance: all of it in slot 0, and no room in any slot yet. False when it is there.';

-- Name: _insert_hold(uuid, numeric, text, jsonb, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._insert_hold(p_id uuid, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_expires_at timestamp with time zone) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _insert_hold(p_id uuid, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_expires_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._insert_hold(p_id uuid, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_expires_at timestamp with time zone) IS 'Writes a hold into the ledger and returns its id; NULL when a row with this id is there. Errors: PB006.';

-- Name: _insert_posting(budget._match, numeric); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._insert_posting(p_match budget._match, p_amount numeric) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _insert_posting(p_match budget._match, p_amount numeric); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._insert_posting(p_match budget._match, p_amount numeric) IS 'Posts an amount to a balance, under the slot of this session.';

-- Name: _is_taken(uuid); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._is_taken(p_id uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _is_taken(p_id uuid); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._is_taken(p_id uuid) IS 'Was a row with this id not inserted because another has the id, or had it until now? Else a trigger swallowed it.';

-- Name: _iso(timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._iso(p_at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _iso(p_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._iso(p_at timestamp with time zone) IS 'An instant as ISO 8601 text in UTC.';

-- Name: _keep_found(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._keep_found() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _keep_found(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._keep_found() IS 'For migrations, at their end, in the session of budget._note_found. What a later series had put in the place of
functions of core is in force again. Of what was created since, others lose what default privileges gave them, and anon
loses every right on all functions, views and tables of the schema budget. All belongs to the owner of the ledger.';

-- Name: _kept_metadata(public.cost_tracking, public.cost_tracking, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._kept_metadata(p_old public.cost_tracking, p_new public.cost_tracking, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _kept_metadata(p_old public.cost_tracking, p_new public.cost_tracking, p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._kept_metadata(p_old public.cost_tracking, p_new public.cost_tracking, p_now timestamp with time zone) IS 'The metadata of a hold after an update: what is kept of the old, the writer''s own keys, and the step taken.';

-- Name: _lapsed(text, text, timestamp with time zone, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._lapsed(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS …;

-- Name: FUNCTION _lapsed(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._lapsed(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone) IS 'What the holds of a member in a window come to that have lapsed at p_now and are not marked expired yet.';

-- Name: _ledger_owner(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._ledger_owner() RETURNS oid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _ledger_owner(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._ledger_owner() IS 'The role to which the ledger and all of pgbudget belong.';

-- Name: _ledger_sum(text, text, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._ledger_sum(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _ledger_sum(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._ledger_sum(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) IS 'What a balance must be: the sum of the ledger rows of a member in a window, and among them the lapsed holds that are
not marked.';

-- Name: budgets; Type: TABLE; Schema: budget; Owner: -

CREATE TABLE budget.budgets (
    name text NOT NULL,
    dimension text NOT NULL,
    member text,
    period text NOT NULL,
    limit_amount numeric,
    timezone text,
    soft_limits numeric[] DEFAULT '{}'::numeric[] NOT NULL,
    enforcement text DEFAULT 'block'::text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    slots integer DEFAULT 1 NOT NULL,
    extra numeric,
    extra_until timestamp with time zone,
    counted_from timestamp with time zone,
    CONSTRAINT budgets_enforcement_known CHECK ((enforcement = ANY (ARRAY['block'::text, 'warn'::text]))),
    CONSTRAINT budgets_limit_in_range CHECK (((limit_amount >= (0)::numeric) AND (limit_amount < '1000000000000000'::numeric))),
    CONSTRAINT budgets_one_truth CHECK (((name = 'daily'::text) = (limit_amount IS NULL))),
    CONSTRAINT budgets_period_known CHECK ((period = ANY (ARRAY['minute'::text, 'hour'::text, 'day'::text, 'week'::text, 'month'::text, 'total'::text]))),
    CONSTRAINT budgets_raise_whole CHECK ((((extra IS NULL) = (extra_until IS NULL)) AND (extra >= (0)::numeric) AND (extra < '1000000000000000'::numeric) AND isfinite(extra_until))),
    CONSTRAINT budgets_slots_in_range CHECK (((slots >= 1) AND (slots <= 64)))
);

-- Name: TABLE budgets; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TABLE budget.budgets IS 'The budgets; budget.set_budget writes them.';

-- Name: COLUMN budgets.counted_from; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON COLUMN budget.budgets.counted_from IS 'Of a window that ends after this, all that the ledger has is in balances and postings. An older one is added up anew.';

-- Name: _limit(budget._config, budget.budgets, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._limit(p_config budget._config, p_budget budget.budgets, p_now timestamp with time zone) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _limit(p_config budget._config, p_budget budget.budgets, p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._limit(p_config budget._config, p_budget budget.budgets, p_now timestamp with time zone) IS 'The limit of a budget that is in force at an instant, a temporary raise included.';

-- Name: _lock_balance(budget._match, boolean, boolean); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean) IS 'Locks what a decision on a balance needs, opened if it is not there: its row or, of one with slots, the own slot with
room enough, or all of them (p_whole). False when the own slot has too little room and no free one has enough:
the caller then gives back what it locked, and locks all.';

-- Name: _lock_hold(uuid); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._lock_hold(p_reservation_id uuid) RETURNS public.cost_tracking
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _lock_hold(p_reservation_id uuid); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._lock_hold(p_reservation_id uuid) IS 'The ledger row of a reservation, locked until the end of the transaction, as is the ledger, in ROW EXCLUSIVE mode.
Errors: PB002 unknown, 55P03 lock wait.';

-- Name: _lock_holds(uuid[], numeric[]); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._lock_holds(p_ids uuid[], p_actuals numeric[]) RETURNS integer[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _lock_holds(p_ids uuid[], p_actuals numeric[]); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._lock_holds(p_ids uuid[], p_actuals numeric[]) IS 'Locks the holds of a batch and returns the numbers of those settlements that are not booked yet, repeats apart. Errors:
PB002, PB004, with the place of the settlement in the detail; 55P03 lock wait.';

-- Name: _lock_ledger(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._lock_ledger() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _lock_ledger(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._lock_ledger() IS 'Keeps writers of the ledger out until the end of the transaction. Errors: 55P03.';

-- Name: work_orders; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.work_orders (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    risk_level text DEFAULT 'medium'::text NOT NULL,
    proposer_id uuid,
    estimated_cost numeric,
    actual_cost numeric,
    metadata jsonb DEFAULT '{}'::jsonb,
    complexity_score numeric(5,2),
    acceptance_criteria jsonb,
    files_in_scope jsonb,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now(),
    completed_at timestamp with time zone
);

-- Name: TABLE work_orders; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.work_orders IS 'Created by pgbudget.';

-- Name: _lock_order(uuid); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._lock_order(p_work_order_id uuid) RETURNS public.work_orders
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _lock_order(p_work_order_id uuid); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._lock_order(p_work_order_id uuid) IS 'The work order, locked until the end of the transaction; null when it is not in the table. Errors: 22023, 55P03.';

-- Name: _lock_table(text, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._lock_table(p_tables text, p_mode text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _lock_table(p_tables text, p_mode text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._lock_table(p_tables text, p_mode text) IS 'Locks tables, named with commas between them and in the order in which callers come to them, until the end of the
transaction, as budget._in_short_tries does. Errors: 55P03.';

-- Name: _matching(budget._config, budget._posting[], timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._matching(p_config budget._config, p_postings budget._posting[], p_now timestamp with time zone) RETURNS SETOF budget._match
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS …;

-- Name: FUNCTION _matching(p_config budget._config, p_postings budget._posting[], p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._matching(p_config budget._config, p_postings budget._posting[], p_now timestamp with time zone) IS 'The balances that postings belong to, those of a new request at p_now, in the order of locking.';

-- Name: _member(text, text, jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._member(p_dimension text, p_service_name text, p_request jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _member(p_dimension text, p_service_name text, p_request jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._member(p_dimension text, p_service_name text, p_request jsonb) IS 'Whose spend it is in a dimension: everybody''s (*), its service''s (service), or that of the value of a top-level key
of the request''s metadata, as text; NULL when it has no such key.';

-- Name: _metadata(jsonb, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._metadata(p_metadata jsonb, p_argument text DEFAULT 'p_metadata'::text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _metadata(p_metadata jsonb, p_argument text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._metadata(p_metadata jsonb, p_argument text) IS 'Checked metadata; null stands for {}. Errors: 22023.';

-- Name: _money(numeric, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._money(p_amount numeric, p_argument text) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _money(p_amount numeric, p_argument text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._money(p_amount numeric, p_argument text) IS 'An amount as it is stored: checked, and rounded up to 12 decimals. Errors: 22023 null, 22003 out of range.';

-- Name: _note_change(text, text, text, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._note_change(p_kind text, p_reason text, p_old text, p_new text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _note_change(p_kind text, p_reason text, p_old text, p_new text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._note_change(p_kind text, p_reason text, p_old text, p_new text) IS 'Keeps who changed a setting, from what to what, as an escalation of severity info that is resolved already.';

-- Name: _note_found(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._note_found() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _note_found(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._note_found() IS 'For migrations, which may run again, before they create anything: notes what budget._keep_found is to keep.';

-- Name: _now(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._now() RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _now(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._now() IS 'The clock that every rule reads.';

-- Name: _open_balance(budget._match); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._open_balance(p_match budget._match) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _open_balance(p_match budget._match); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._open_balance(p_match budget._match) IS 'Opens the balance of a member''s window, with all that the ledger has in it. False when another has opened it.';

-- Name: _outcome(public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._outcome(p_row public.cost_tracking) RETURNS budget.outcome
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _outcome(p_row public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._outcome(p_row public.cost_tracking) IS 'A ledger row as an outcome.';

-- Name: _over_limit(budget._config, numeric); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._over_limit(p_config budget._config, p_total numeric) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _over_limit(p_config budget._config, p_total numeric); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._over_limit(p_config budget._config, p_total numeric) IS 'Did spend that brought its window to this total (NULL: it was not summed) leave it above its limit?';

-- Name: _parse_config(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._parse_config(p_value text) RETURNS budget._config
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _parse_config(p_value text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._parse_config(p_value text) IS 'The value of the row budget_limits as a record. error is NULL when every rule of the configuration holds, else it names
the first broken one.';

-- Name: _period(text, timestamp with time zone, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._period(p_period text, p_at timestamp with time zone, p_zone text, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS …;

-- Name: FUNCTION _period(p_period text, p_at timestamp with time zone, p_zone text, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._period(p_period text, p_at timestamp with time zone, p_zone text, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone) IS 'The window of a period that an instant belongs to: starts_at <= instant < ends_at. NULL where there is none.';

-- Name: _post(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._post() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _post(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._post() IS 'Trigger on the ledger, for every writer of it: posts what a statement changed to the balances that it matches.';

-- Name: _posted(text, text, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._posted(p_budget text, p_member text, p_starts_at timestamp with time zone) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _posted(p_budget text, p_member text, p_starts_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._posted(p_budget text, p_member text, p_starts_at timestamp with time zone) IS 'The sum of the postings to a balance that are not folded into it yet.';

-- Name: _preflight(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._preflight() RETURNS TABLE(table_name text, column_name text, found text, remedy text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _preflight(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._preflight() IS 'What stands in the way of taking over the application''s tables: one row each, with what to do. No rows: go ahead.';

-- Name: _price(text, jsonb, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._price(p_proposer text, p_profile jsonb, p_key text) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _price(p_proposer text, p_profile jsonb, p_key text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._price(p_proposer text, p_profile jsonb, p_key text) IS 'One price of a proposer''s cost profile, per token. Errors: PB005 when it is missing or no amount.';

-- Name: _read_config(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._read_config() RETURNS budget._config
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _read_config(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._read_config() IS 'The limits and the freeze as they stand in system_config now. Never fails.';

-- Name: _reading(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._reading() RETURNS TABLE(now timestamp with time zone, day date, starts_at timestamp with time zone, ends_at timestamp with time zone, timezone text, daily_soft_cap numeric, daily_hard_cap numeric, emergency_kill numeric, on_expiry text, frozen boolean, frozen_reason text, unknown_keys text[], config_error text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _reading(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._reading() IS 'The clock, the window and the configuration that the views share.';

-- Name: _rebuild(budget._config, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._rebuild(p_config budget._config, p_budget text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _rebuild(p_config budget._config, p_budget text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._rebuild(p_config budget._config, p_budget text) IS 'Computes a budget''s balances of the window that runs now, and of later ones, from the ledger. The caller keeps
the ledger''s writers out.';

-- Name: _reclaim(timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._reclaim(p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS …;

-- Name: FUNCTION _reclaim(p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._reclaim(p_now timestamp with time zone) IS 'Marks holds expired when more than a few have lapsed at p_now.';

-- Name: _recorded(uuid, numeric, text, jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb) RETURNS public.cost_tracking
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb) IS 'The spend that was recorded with this id and these arguments before; NULL when no row has the id any more.
Errors: PB003 when the arguments differ.';

-- Name: _replay(budget._config, numeric, text, jsonb, timestamp with time zone, public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._replay(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_row public.cost_tracking) RETURNS budget.verdict
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _replay(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_row public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._replay(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_row public.cost_tracking) IS 'The verdict on an id that is in the ledger already: replayed while its hold is open, else ended. Errors: PB003.';

-- Name: _request(jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._request(p_metadata jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _request(p_metadata jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._request(p_metadata jsonb) IS 'The metadata that a ledger row was asked for with: a direct writer''s row holds them as they are.';

-- Name: _require_config(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._require_config() RETURNS budget._config
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _require_config(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._require_config() IS 'The limits in force. Errors: PB005 when the configuration is broken.';

-- Name: _require_kept(public.cost_tracking, public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._require_kept(p_asked public.cost_tracking, p_row public.cost_tracking) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _require_kept(p_asked public.cost_tracking, p_row public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._require_kept(p_asked public.cost_tracking, p_row public.cost_tracking) IS 'Errors: PB006 unless the ledger has the row as it was written; of its metadata, the keys that were written.';

-- Name: _reserve(text, numeric, text, jsonb, uuid, interval, uuid); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._reserve(p_lock text, p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid) RETURNS budget.verdict
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _reserve(p_lock text, p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._reserve(p_lock text, p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid) IS 'The body of budget.reserve and budget.reserve_advisory, under the lock that p_lock names.';

-- Name: _rezone(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._rezone() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION _rezone(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._rezone() IS 'Trigger on system_config: when the zone of the limits changes, the balances of its days, weeks and months are computed
anew. Locks then: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction. Errors: PB001 at any level but READ
COMMITTED, where the ledger would be summed as it was; 55P03.';

-- Name: _routing_decision(numeric, boolean, text, budget.verdict); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._routing_decision(p_score numeric, p_hard_stop boolean, p_budget_status text, p_verdict budget.verdict) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _routing_decision(p_score numeric, p_hard_stop boolean, p_budget_status text, p_verdict budget.verdict); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._routing_decision(p_score numeric, p_hard_stop boolean, p_budget_status text, p_verdict budget.verdict) IS 'The decision as it is answered and stored. Money in it is text, which no JSON reader turns into a float.';

-- Name: _routing_refused(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._routing_refused(p_error text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _routing_refused(p_error text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._routing_refused(p_error text) IS 'The answer to a work order that was not routed.';

-- Name: _serialise(text, budget._posting[]); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._serialise(p_lock text, p_postings budget._posting[], OUT decided_at timestamp with time zone, OUT config budget._config) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _serialise(p_lock text, p_postings budget._posting[], OUT decided_at timestamp with time zone, OUT config budget._config); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._serialise(p_lock text, p_postings budget._posting[], OUT decided_at timestamp with time zone, OUT config budget._config) IS 'Locks the balances that a request depends on until the end of the transaction, with ROW EXCLUSIVE on the ledger and a
shared advisory lock 8099550711184319860; p_lock makes no difference. Returns the instant of the decision and the
limits in force, both read under the locks. Errors: PB005; 55P03.';

-- Name: _service_name(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._service_name(p_service_name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _service_name(p_service_name text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._service_name(p_service_name text) IS 'A checked service name. Errors: 22023.';

-- Name: _settled(public.cost_tracking, numeric); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._settled(p_row public.cost_tracking, p_actual numeric) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _settled(p_row public.cost_tracking, p_actual numeric); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._settled(p_row public.cost_tracking, p_actual numeric) IS 'Is the reservation settled at this amount already? Errors: PB004 when it is settled at another.';

-- Name: _settlement(budget._config, numeric, jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._settlement(p_config budget._config, p_total numeric, p_metadata jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _settlement(p_config budget._config, p_total numeric, p_metadata jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._settlement(p_config budget._config, p_total numeric, p_metadata jsonb) IS 'What settling adds to a hold''s metadata: what it was settled with, and whether this left its day (p_total) over the
limit.';

-- Name: _spread_room(budget._match); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._spread_room(p_match budget._match) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _spread_room(p_match budget._match); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._spread_room(p_match budget._match) IS 'Spreads the room of a balance over its slots anew, enough for the request to its own. The caller holds them all.';

-- Name: _take_postings(budget._match, boolean); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._take_postings(p_match budget._match, p_whole boolean) RETURNS numeric
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _take_postings(p_match budget._match, p_whole boolean); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._take_postings(p_match budget._match, p_whole boolean) IS 'Deletes the postings to a balance, of the own slot or of all, and returns what they came to; NULL when there were
none.';

-- Name: _take_room(budget._match, boolean); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._take_room(p_match budget._match, p_needs_room boolean) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _take_room(p_match budget._match, p_needs_room boolean); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._take_room(p_match budget._match, p_needs_room boolean) IS 'Sees to it that the own slot, which the caller has locked, has room for a request that needs room, if need be by taking
some from a slot that is free. False when no slot has enough, or when too many postings wait to be folded.';

-- Name: _total_after(budget._config, numeric, text, jsonb, timestamp with time zone, public.cost_tracking); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._total_after(p_config budget._config, p_actual numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _total_after(p_config budget._config, p_actual numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._total_after(p_config budget._config, p_actual numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) IS 'The total of the window once the amount is booked; NULL where it need not be summed, because the amount is no more than
the hold counts, or cannot be, because the configuration is broken.';

-- Name: _totals_after(budget._config, uuid[], numeric[], integer[], timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._totals_after(p_config budget._config, p_ids uuid[], p_actuals numeric[], p_open integer[], p_now timestamp with time zone) RETURNS TABLE(n integer, total numeric)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _totals_after(p_config budget._config, p_ids uuid[], p_actuals numeric[], p_open integer[], p_now timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._totals_after(p_config budget._config, p_ids uuid[], p_actuals numeric[], p_open integer[], p_now timestamp with time zone) IS 'The total of its day once the whole batch is booked, for each settlement of p_open that is more than its hold counts.';

-- Name: _touch(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._touch() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _touch(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._touch() IS 'After a change of what is posted where: a writer whose snapshot is older meets it here (budget._post), and repeats.';

-- Name: _ttl(interval); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._ttl(p_ttl interval) RETURNS interval
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _ttl(p_ttl interval); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._ttl(p_ttl interval) IS 'A checked time to live, as exact seconds. Errors: 22023.';

-- Name: _unopened(text, text, text, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._unopened(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _unopened(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._unopened(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) IS 'What the ledger rows of a member come to in a window whose balance nobody has opened, or that was pruned.';

-- Name: _window(timestamp with time zone, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._window(p_at timestamp with time zone, p_zone text, OUT day date, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS …;

-- Name: FUNCTION _window(p_at timestamp with time zone, p_zone text, OUT day date, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._window(p_at timestamp with time zone, p_zone text, OUT day date, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone) IS 'The day that an instant belongs to, and its bounds: starts_at <= instant < ends_at. NULL where it is on no day.';

-- Name: _write_escalation(uuid, text, text, text, text, text, jsonb, uuid, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._write_escalation(p_id uuid, p_kind text, p_severity text, p_component text, p_operation text, p_reason text, p_context jsonb, p_work_order_id uuid, p_status text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION _write_escalation(p_id uuid, p_kind text, p_severity text, p_component text, p_operation text, p_reason text, p_context jsonb, p_work_order_id uuid, p_status text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._write_escalation(p_id uuid, p_kind text, p_severity text, p_component text, p_operation text, p_reason text, p_context jsonb, p_work_order_id uuid, p_status text) IS 'Writes one row into public.escalations; an id that is there already is left as it is.';

-- Name: _zone(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget._zone(p_zone text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS …;

-- Name: FUNCTION _zone(p_zone text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget._zone(p_zone text) IS 'A time zone that the server knows by name. Errors: PB005, and 22023 where the server knows none of that name.';

-- Name: cancel(uuid, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.cancel(p_reservation_id uuid, p_reason text DEFAULT NULL::text) RETURNS SETOF budget.outcome
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION cancel(p_reservation_id uuid, p_reason text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.cancel(p_reservation_id uuid, p_reason text) IS 'Gives a hold''s money back because the call failed and cost nothing. One row: the outcome.

p_reservation_id  the hold
p_reason          why, kept in the row; optional

The ledger row stays, at cost 0. Repeating it changes nothing. If the call turns out to have cost something after all,
settle the same reservation: that is recorded in full and marked late.
Errors: PB002 unknown reservation; PB004 the hold is settled; PB006 the ledger did not keep the row; 22023 bad
argument; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, as a plain UPDATE takes it, and the hold''s own row, until the end of the
transaction. It takes no decision lock and works at any isolation level.';

-- Name: check(numeric, text, jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget."check"(p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb) RETURNS SETOF budget.verdict
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION "check"(p_estimated_cost numeric, p_service_name text, p_metadata jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget."check"(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) IS 'The verdict that budget.reserve would give now. It reserves nothing, so that the answer may be stale by the time it is
read: never spend on it. One row, with no reservation_id.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who would spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB

Errors: 22023, 22003 bad argument; PB005 broken configuration.
Locks: none. It changes nothing, and works at any isolation level, read-only and on a standby.';

-- Name: detect_hard_stop(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.detect_hard_stop(p_task_description text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION detect_hard_stop(p_task_description text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.detect_hard_stop(p_task_description text) IS 'Does the task touch security or architecture, so that the strongest proposer must take it?

p_task_description  the text; it is searched without regard to case

Errors: 22023 null. Locks: none.';

-- Name: drop_budget(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.drop_budget(p_name text) RETURNS SETOF budget.budgets
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION drop_budget(p_name text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.drop_budget(p_name text) IS 'Removes a budget and its balances; no ledger row is touched. One row: what it was.

p_name  any budget but daily

Errors: 22023 no such budget; PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction.';

-- Name: escalate(text, text, text, uuid, text, jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.escalate(p_component text, p_operation text, p_error text, p_work_order_id uuid DEFAULT NULL::uuid, p_severity text DEFAULT 'critical'::text, p_metadata jsonb DEFAULT '{}'::jsonb) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION escalate(p_component text, p_operation text, p_error text, p_work_order_id uuid, p_severity text, p_metadata jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.escalate(p_component text, p_operation text, p_error text, p_work_order_id uuid, p_severity text, p_metadata jsonb) IS 'Asks a human to look: one row in public.escalations, status pending. Returns its id.

p_component, p_operation  where it happened
p_error                   what happened; it stands in reason, after component and operation; at most 64 KiB of text in all
p_work_order_id           the work order, if one is concerned; an id that is not in the table is kept in context alone
p_severity                critical, high, warning or info
p_metadata                a JSON object, at most 64 KiB, merged into context

Errors: 22023 bad argument. Locks: the work order''s key, as every foreign key does.';

-- Name: estimate(numeric, boolean); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.estimate(p_complexity_score numeric, p_hard_stop_required boolean) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION estimate(p_complexity_score numeric, p_hard_stop_required boolean); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.estimate(p_complexity_score numeric, p_hard_stop_required boolean) IS 'The estimated cost of a routing decision, in three tiers.

p_complexity_score    2.50 from a score of 1.0 on, 0.10 below 0.3, 1.00 between
p_hard_stop_required  true: 2.50 whatever the score

Errors: 22023 bad argument. Locks: none.';

-- Name: estimate_from_history(text, numeric, interval); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.estimate_from_history(p_service_name text, p_quantile numeric DEFAULT 0.9, p_since interval DEFAULT '30 days'::interval) RETURNS TABLE(estimate numeric, samples bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION estimate_from_history(p_service_name text, p_quantile numeric, p_since interval); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.estimate_from_history(p_service_name text, p_quantile numeric, p_since interval) IS 'What a service''s calls have cost: the exact quantile of the actual costs of its settled holds. One row.

p_service_name  the service
p_quantile      0 to 1; at 0.9 nine calls of ten cost no more than the estimate
p_since         how far back, counted from now

estimate is NULL, and samples 0, where nothing was settled. Amounts in the currency of the limits.
Errors: 22023 bad argument. Locks: none.';

-- Name: estimate_tokens(text, bigint, bigint); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.estimate_tokens(p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint) RETURNS numeric
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION estimate_tokens(p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.estimate_tokens(p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint) IS 'The most that a call can cost, from the proposer''s prices: input tokens and the ceiling of output tokens.

p_proposer           a name of proposer_configs, active or not
p_input_tokens       tokens of the prompt
p_max_output_tokens  the ceiling that the call is given

Returns an amount in the currency of cost_profile, at most 12 decimals, rounded up.
Errors: 22023 bad argument or unknown proposer; PB005 a price is missing or no amount; 22003 too large. Locks: none.';

-- Name: expire(integer); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.expire(p_limit integer DEFAULT 1000) RETURNS TABLE(expired integer, released numeric)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION expire(p_limit integer); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.expire(p_limit integer) IS 'Marks lapsed holds as expired, for cron. Bookkeeping alone: a lapsed hold counts nothing from its instant, marked or
not. One row: how many were marked, and the money they gave back (0 where on_expiry is keep, which books the estimate
as spent).

p_limit  at most so many in this call; call it until expired is 0

Errors: 22023 bad argument; PB005 broken configuration; PB006 the ledger did not keep it; 55P03 lock wait.
Locks: the rows it marks, skipping those that are locked. It takes no decision lock.';

-- Name: extend(uuid, numeric, interval); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.extend(p_reservation_id uuid, p_new_estimate numeric DEFAULT NULL::numeric, p_ttl interval DEFAULT NULL::interval) RETURNS SETOF budget.verdict
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION extend(p_reservation_id uuid, p_new_estimate numeric, p_ttl interval); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.extend(p_reservation_id uuid, p_new_estimate numeric, p_ttl interval) IS 'Sets the total estimate of an open hold, moves its expiry, or both: all or nothing. One row: the verdict.

p_reservation_id  the hold; one that has lapsed is revived if there is room
p_new_estimate    the new total (not an addition), in the currency of the limits; NULL leaves it as it is
p_ttl             the hold lapses this long from now, at most 24 hours; NULL leaves the expiry of an open hold as it is
                  and gives a lapsed one the limits'' reservation_ttl

The room is looked for in the window that admitted the hold. A hold that asks for no more than it counts already is
refused by a freeze alone. Refused, it stays as it was.
Errors: 22023, 22003 bad argument; PB001 not READ COMMITTED; PB002 unknown reservation; PB004 the hold has ended;
PB005 broken configuration; PB006 the ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, the hold''s own row, then those of budget.reserve_advisory.';

-- Name: freeze(text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget."freeze"(p_reason text) RETURNS TABLE(frozen boolean, reason text, since timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION "freeze"(p_reason text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget."freeze"(p_reason text) IS 'The kill switch: every reserve and extend that decides after this commit is refused, also for exempt services. Settle,
cancel and record go on. One row: the freeze in force.

p_reason  why, at most 64 KiB; it is kept with the session''s user and the time. While frozen, another freeze changes nothing.

Errors: 22023 no reason; 55P03 lock wait. Locks: one row of system_config; it waits for no reservation.';

-- Name: limits(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.limits() RETURNS TABLE(daily_soft_cap numeric, daily_hard_cap numeric, emergency_kill numeric, timezone text, reservation_ttl interval, on_expiry text, exempt_services text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION limits(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.limits() IS 'The limits in force. One row, a column per key of system_config.budget_limits; amounts in the currency of the limits,
NULL for a cap that is absent.
Errors: PB005 broken configuration. Locks: none.';

-- Name: prune(timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.prune(p_before timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION prune(p_before timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.prune(p_before timestamp with time zone) IS 'Removes the balances of windows that have ended by p_before; returns how many. No ledger row is touched: who asks for
such a window again, as an extend of an old hold does, opens it from the ledger. Folds in what was posted to the others,
for budgets that are written to and that nobody reserves from.

p_before  an instant; NULL and any later one: now

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: its writers wait for the short while.';

-- Name: reconcile(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.reconcile() RETURNS TABLE(budget text, member text, starts_at timestamp with time zone, balance numeric, ledger numeric)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION reconcile(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.reconcile() IS 'Opens each balance anew that is not the sum of its ledger rows. A row for each of them, starts_at NULL for a
total: no rows when healthy. It is needed only after someone has switched triggers off.

Errors: PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: all its writers wait meanwhile.';

-- Name: record(numeric, text, jsonb, uuid); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.record(p_actual_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb, p_id uuid DEFAULT NULL::uuid) RETURNS SETOF budget.outcome
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION record(p_actual_cost numeric, p_service_name text, p_metadata jsonb, p_id uuid); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.record(p_actual_cost numeric, p_service_name text, p_metadata jsonb, p_id uuid) IS 'Books spend that had no hold. Never refused, also while frozen or over the limit: the money is gone. One row: the
outcome.

p_actual_cost   what was spent, in the currency of the limits; at most 12 decimals, rounded up
p_service_name  who spent it, 1 to 200 characters
p_metadata      a JSON object, at most 64 KiB, kept as original_metadata
p_id            the row''s id, which makes a repeat safe: the same id with the same arguments is booked once

Errors: 22023, 22003 bad argument; PB003 the id stands for something else; PB006 the
ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger, as a plain INSERT does, and with p_id KEY SHARE on the row that it repeats. It
takes no decision lock and works at any isolation level.';

-- Name: reserve(numeric, text, jsonb, uuid, interval); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.reserve(p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb, p_reservation_id uuid DEFAULT NULL::uuid, p_ttl interval DEFAULT NULL::interval) RETURNS SETOF budget.verdict
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION reserve(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.reserve(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) IS 'Reserves an estimated cost before a call, if the day''s limit has room for it. One row: the verdict; a refusal is a
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

-- Name: reserve_advisory(numeric, text, jsonb, uuid, interval); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.reserve_advisory(p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb, p_reservation_id uuid DEFAULT NULL::uuid, p_ttl interval DEFAULT NULL::interval) RETURNS SETOF budget.verdict
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION reserve_advisory(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.reserve_advisory(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) IS 'Reserves an estimated cost before a call, if the day''s limit has room for it. One row: the verdict; a refusal is a
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

-- Name: reserve_many(jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.reserve_many(p_requests jsonb) RETURNS SETOF budget.verdict
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION reserve_many(p_requests jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.reserve_many(p_requests jsonb) IS 'Reserves for many calls at once, in one transaction. A verdict for each request, in the order given, and the same as if
budget.reserve had been called for one after another: each is granted while the room lasts, a refusal is a row too.

p_requests  a JSON array of at most 10000 objects. Their keys are the arguments of budget.reserve: estimated_cost (a
            number, or text, which no reader makes a float of) and service_name; where needed metadata, reservation_id
            and ttl. A reservation_id that stands in it twice is a repeat of the first.

Errors: 22023, 22003 bad argument, with the place of the request in the detail; PB001 not READ COMMITTED; PB003 id reused
with other arguments; PB005 broken configuration; PB006 the ledger did not keep a row; 55P03 lock wait. With any of them
nothing is reserved.
Locks: those of budget.reserve for all requests together, until the end of the transaction.';

-- Name: retry_strategy(text, integer, text); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text) IS 'What to do after a failed attempt, of three at most: the first retry keeps the proposer, the second moves to the next
active one of a higher complexity threshold, and after that, or where there is none, a human is asked.

p_current_proposer  the proposer that failed, a name of proposer_configs
p_attempt           the number of the attempt that failed, from 1
p_failure_reason    why; handed back

Returns {should_retry, action: retry_same | retry_stronger | escalate, proposer, attempt (the next), max_attempts,
failure_reason}. Errors: 22023 bad argument or unknown proposer. Locks: none.';

-- Name: route_work_order(uuid, text, jsonb, numeric, boolean); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.route_work_order(p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, p_approved_by_director boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION route_work_order(p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, p_approved_by_director boolean); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.route_work_order(p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, p_approved_by_director boolean) IS 'Reserves the budget for a work order, chooses its proposer and stores the decision, in one transaction: an error
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

-- Name: set_budget(text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamp with time zone); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.set_budget(p_name text, p_limit numeric, p_dimension text DEFAULT '*'::text, p_member text DEFAULT NULL::text, p_period text DEFAULT 'day'::text, p_timezone text DEFAULT NULL::text, p_soft_limits numeric[] DEFAULT '{}'::numeric[], p_enforcement text DEFAULT 'block'::text, p_active boolean DEFAULT true, p_slots integer DEFAULT 1, p_extra numeric DEFAULT NULL::numeric, p_until timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS SETOF budget.budgets
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION set_budget(p_name text, p_limit numeric, p_dimension text, p_member text, p_period text, p_timezone text, p_soft_limits numeric[], p_enforcement text, p_active boolean, p_slots integer, p_extra numeric, p_until timestamp with time zone); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.set_budget(p_name text, p_limit numeric, p_dimension text, p_member text, p_period text, p_timezone text, p_soft_limits numeric[], p_enforcement text, p_active boolean, p_slots integer, p_extra numeric, p_until timestamp with time zone) IS 'Creates a budget or replaces it as a whole. One row: the budget.

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

-- Name: set_limits(jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.set_limits(p_limits jsonb) RETURNS TABLE(daily_soft_cap numeric, daily_hard_cap numeric, emergency_kill numeric, timezone text, reservation_ttl interval, on_expiry text, exempt_services text[])
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION set_limits(p_limits jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.set_limits(p_limits jsonb) IS 'Replaces the given keys of the limits and checks the whole. One row: the limits in force.

p_limits  a JSON object with any of daily_soft_cap, daily_hard_cap, emergency_kill (numbers, in one currency),
          timezone (a name of pg_timezone_names), reservation_ttl (text such as "1 hour", at most 24 hours),
          on_expiry ("release" or "keep"), exempt_services (an array of names); keys it does not know are kept too

Keys that are not given stay; over a broken configuration it starts from {}. The old and the new value are kept in an
escalation of severity info. Decisions that take their lock after the commit see the new limits.
Errors: 22023 not an object; PB005 the whole would be broken; 55P03 lock wait.
Locks: the configuration''s row, until the end of the transaction.';

-- Name: settle(uuid, numeric, jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.settle(p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb DEFAULT '{}'::jsonb) RETURNS SETOF budget.outcome
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION settle(p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.settle(p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb) IS 'Turns a hold into the spend it became. One row: the outcome.

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

-- Name: settle_many(jsonb); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.settle_many(p_settlements jsonb) RETURNS SETOF budget.outcome
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION settle_many(p_settlements jsonb); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.settle_many(p_settlements jsonb) IS 'Settles many holds at once, in one transaction, all or none. An outcome for each settlement, in the order given, as
budget.settle has it; over_limit: the whole batch left this spend''s day above the limit.

p_settlements  a JSON array of at most 10000 objects. Their keys are the arguments of budget.settle: reservation_id and
               actual_cost (a number, or text, which no reader makes a float of), and metadata where there is some

Repeating it gives the same outcomes, and so does an element that repeats another.
Errors: 22023, 22003 bad argument; PB002 unknown reservation; PB004 settled before, or earlier in the batch, with another
amount, each with the place of the settlement in the detail; PB006 the ledger did not keep a row; 55P03 lock wait. With any of them nothing is settled.
Locks: those of budget.settle for all holds, taken in the order of their ids. It takes no decision lock and works at any
isolation level.';

-- Name: unfreeze(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.unfreeze() RETURNS TABLE(frozen boolean, reason text, since timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION unfreeze(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.unfreeze() IS 'Ends a freeze; without one it changes nothing. One row: frozen is false.
Errors: 55P03 lock wait. Locks: one row of system_config.';

-- Name: version(); Type: FUNCTION; Schema: budget; Owner: -

CREATE FUNCTION budget.version() RETURNS text
    LANGUAGE sql IMMUTABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS …;

-- Name: FUNCTION version(); Type: COMMENT; Schema: budget; Owner: -

COMMENT ON FUNCTION budget.version() IS 'The version of this API, major.minor. A driver refuses a database that is behind it. Locks: none.';

-- Name: check_and_reserve_budget(numeric, text, jsonb); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.check_and_reserve_budget(p_estimated_cost numeric, p_service_name text, p_metadata jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(can_proceed boolean, current_total numeric, reservation_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS …;

-- Name: FUNCTION check_and_reserve_budget(p_estimated_cost numeric, p_service_name text, p_metadata jsonb); Type: COMMENT; Schema: public; Owner: -

COMMENT ON FUNCTION public.check_and_reserve_budget(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) IS 'Three columns of budget.reserve, for callers that know nothing of schema budget. One row.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who will spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB, kept as original_metadata

Errors and locks: those of budget.reserve.';

-- Name: balances; Type: TABLE; Schema: budget; Owner: -

CREATE TABLE budget.balances (
    budget text NOT NULL,
    member text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    slot integer NOT NULL,
    amount numeric DEFAULT 0 NOT NULL,
    room numeric DEFAULT 0 NOT NULL,
    room_of numeric DEFAULT 0 NOT NULL,
    CONSTRAINT balances_room_is_spread CHECK (((slot = 0) OR (room_of = (0)::numeric))),
    CONSTRAINT balances_slot_has_room CHECK (((slot = 0) OR (room >= (0)::numeric)))
)
WITH (fillfactor='50');

-- Name: TABLE balances; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TABLE budget.balances IS 'What the ledger rows of a member come to in a window of a budget: the sum over its slots, and of the postings that are
not folded in yet. A row is there from the first decision on.';

-- Name: COLUMN balances.slot; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON COLUMN budget.balances.slot IS '0, and beside it 1 to slots where a budget has more than one: those who reserve at the same time lock different ones.';

-- Name: COLUMN balances.room; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON COLUMN budget.balances.room IS 'What may still be reserved from a slot without a look at the others. Of slot 0, as a negative number, what was spent
without room. Over all slots, room and amount come to the room_of of slot 0.';

-- Name: COLUMN balances.room_of; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON COLUMN budget.balances.room_of IS 'In slot 0: the limit whose room was last spread over the slots.';

-- Name: budget_status; Type: VIEW; Schema: budget; Owner: -

CREATE VIEW budget.budget_status WITH (security_barrier='true') AS
 SELECT name,
    dimension,
    member,
    period,
    limit_amount,
    spent,
    held,
    remaining,
    resets_at,
    enforcement,
    is_active,
    raised_by,
    raised_until
   FROM budget._budget_standing() s(name, dimension, member, period, limit_amount, spent, held, remaining, resets_at, enforcement, is_active, raised_by, raised_until);

-- Name: VIEW budget_status; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON VIEW budget.budget_status IS 'One row per budget and member with spend in the window that runs, and one for a budget that has none: limit, spent,
held, remaining (limit minus both; it may be negative), and when the window ends (resets_at; NULL for a total). The limit
is that in force: a temporary raise is in it, and shown by raised_by and raised_until.';

-- Name: daily_spend; Type: VIEW; Schema: budget; Owner: -

CREATE VIEW budget.daily_spend WITH (security_barrier='true') AS
 WITH RECURSIVE reading AS MATERIALIZED (
         SELECT r_1.now,
            r_1.timezone,
            r_1.on_expiry
           FROM budget._reading() r_1(now, day, starts_at, ends_at, timezone, daily_soft_cap, daily_hard_cap, emergency_kill, on_expiry, frozen, frozen_reason, unknown_keys, config_error)
        ), days(day, starts_at, ends_at) AS (
         SELECT w.day,
            w.starts_at,
            w.ends_at
           FROM (reading r_1
             CROSS JOIN LATERAL budget._window(( SELECT min(l.created_at) AS min
                   FROM public.cost_tracking l
                  WHERE (l.created_at >= '0002-01-01 00:00:00+00'::timestamp with time zone)), r_1.timezone) w(day, starts_at, ends_at))
          WHERE (w.day IS NOT NULL)
        UNION ALL
         SELECT w.day,
            w.starts_at,
            w.ends_at
           FROM ((days d_1
             CROSS JOIN reading r_1)
             CROSS JOIN LATERAL budget._window(( SELECT min(l.created_at) AS min
                   FROM public.cost_tracking l
                  WHERE (l.created_at >= d_1.ends_at)), r_1.timezone) w(day, starts_at, ends_at))
          WHERE (w.day IS NOT NULL)
        )
 SELECT d.day,
    s.service_name,
    s.settled,
    s.held,
    s.cancelled,
    s.expired,
    s.calls
   FROM ((reading r
     CROSS JOIN ( SELECT d_1.day,
            d_1.starts_at,
            (d_1.ends_at - '00:00:00.000001'::interval) AS last_at
           FROM days d_1
        UNION ALL
         SELECT NULL::date AS day,
            n.starts_at,
            n.last_at
           FROM ( VALUES ('-infinity'::timestamp with time zone,('0002-01-01 00:00:00+00'::timestamp with time zone - '00:00:00.000001'::interval)), ('9999-01-01 00:00:00+00'::timestamp with time zone,'infinity'::timestamp with time zone)) n(starts_at, last_at)) d)
     CROSS JOIN LATERAL ( SELECT l.service_name,
            COALESCE(sum(l.cost) FILTER (WHERE (h.state = ANY (ARRAY['spent'::text, 'kept'::text]))), (0)::numeric) AS settled,
            COALESCE(sum(l.cost) FILTER (WHERE (h.state = 'held'::text)), (0)::numeric) AS held,
            COALESCE(sum(h.estimated_cost) FILTER (WHERE (h.state = 'cancelled'::text)), (0)::numeric) AS cancelled,
            COALESCE(sum(h.estimated_cost) FILTER (WHERE (h.state = ANY (ARRAY['expired'::text, 'kept'::text]))), (0)::numeric) AS expired,
            count(*) AS calls
           FROM (public.cost_tracking l
             CROSS JOIN LATERAL ( SELECT
                        CASE
                            WHEN (l.expires_at IS NOT NULL) THEN l.cost
                            WHEN ((l.metadata ->> 'estimated_cost'::text) ~ '^[0-9]+([.][0-9]+)?$'::text) THEN ((l.metadata ->> 'estimated_cost'::text))::numeric
                            ELSE (0)::numeric
                        END AS estimated_cost,
                        CASE
                            WHEN (l.expires_at > r.now) THEN 'held'::text
                            WHEN ((l.expires_at IS NOT NULL) AND (r.on_expiry = 'keep'::text)) THEN 'kept'::text
                            WHEN (l.expires_at IS NOT NULL) THEN 'expired'::text
                            WHEN (NOT COALESCE((l.metadata ? 'reserved_at'::text), false)) THEN 'spent'::text
                            WHEN ((l.metadata ->> 'type'::text) = 'cancelled'::text) THEN 'cancelled'::text
                            WHEN (((l.metadata ->> 'type'::text) = 'expired'::text) AND (l.cost > (0)::numeric)) THEN 'kept'::text
                            WHEN ((l.metadata ->> 'type'::text) = 'expired'::text) THEN 'expired'::text
                            ELSE 'spent'::text
                        END AS state) h)
          WHERE ((l.created_at >= d.starts_at) AND (l.created_at <= d.last_at))
          GROUP BY l.service_name) s);

-- Name: VIEW daily_spend; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON VIEW budget.daily_spend IS 'Spend per day (in the zone in force) and service, in the currency of the limits: settled, held now, the estimates of
what was cancelled and of what lapsed, and the number of ledger rows. settled + held is what counts; where on_expiry
is keep, a lapsed hold stands in settled and in expired.';

-- Name: escalations; Type: VIEW; Schema: budget; Owner: -

CREATE VIEW budget.escalations WITH (security_barrier='true') AS
 SELECT id,
    created_at,
    trigger_type AS kind,
    (context ->> 'severity'::text) AS severity,
    (context ->> 'subject'::text) AS subject,
    reason,
    status,
    work_order_id,
    context
   FROM budget._escalated() e(id, work_order_id, trigger_type, reason, context, status, resolution_type, resolution_notes, resolved_at, created_at, updated_at);

-- Name: VIEW escalations; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON VIEW budget.escalations IS 'What was escalated about the budget: refusals (budget_refused), caps that were reached (budget_daily_soft_cap,
budget_daily_hard_cap, budget_emergency_kill), spend above the limit (budget_overrun), and who changed, froze and unfroze
it (severity info). context has the figures, amounts as text.';

-- Name: hourly_spend; Type: VIEW; Schema: budget; Owner: -

CREATE VIEW budget.hourly_spend WITH (security_barrier='true') AS
 SELECT h.starts_at AS hour,
    COALESCE(sum(l.cost) FILTER (WHERE ((l.expires_at IS NULL) OR (l.expires_at <= r.now))), (0)::numeric) AS settled,
    COALESCE(sum(l.cost) FILTER (WHERE (l.expires_at > r.now)), (0)::numeric) AS held,
    count(l.id) AS calls
   FROM ((budget._reading() r(now, day, starts_at, ends_at, timezone, daily_soft_cap, daily_hard_cap, emergency_kill, on_expiry, frozen, frozen_reason, unknown_keys, config_error)
     CROSS JOIN LATERAL generate_series(r.starts_at, (r.ends_at - '00:00:00.000001'::interval), '01:00:00'::interval) h(starts_at))
     LEFT JOIN public.cost_tracking l ON (((l.created_at >= h.starts_at) AND (l.created_at < LEAST((h.starts_at + '01:00:00'::interval), r.ends_at)) AND ((l.expires_at IS NULL) OR (l.expires_at > r.now) OR (r.on_expiry = 'keep'::text)))))
  GROUP BY h.starts_at;

-- Name: VIEW hourly_spend; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON VIEW budget.hourly_spend IS 'The day in force by its hours, those to come included: what was settled and what is held now of the calls that began
in each, and how many they are, in the currency of the limits. The hours together are the settled and held of
budget.status.';

-- Name: invariants; Type: VIEW; Schema: budget; Owner: -

CREATE VIEW budget.invariants WITH (security_barrier='true') AS
 WITH broken(rule, id, detail) AS (
         SELECT f.rule,
            l.id,
            format('cost %s, metadata.type %s, expires_at %s'::text, l.cost, (l.metadata ->> 'type'::text), l.expires_at) AS detail
           FROM ((public.cost_tracking l
             CROSS JOIN LATERAL ( SELECT COALESCE(((l.metadata ? 'reserved_at'::text) AND ((l.metadata ->> 'type'::text) = ANY (ARRAY['reservation'::text, 'actual'::text, 'cancelled'::text, 'expired'::text]))), false) AS began_as_hold) b)
             CROSS JOIN LATERAL ( VALUES ('a cost is at least 0 and below 1e15'::text,((l.cost >= (0)::numeric) AND (l.cost < '1000000000000000'::numeric))), ('every row has a creation time'::text,(l.created_at IS NOT NULL)), ('every hold is in a state of its life'::text,((NOT COALESCE((l.metadata ?& ARRAY['reserved_at'::text, 'requested_cost'::text, 'estimated_cost'::text, 'original_metadata'::text]), false)) OR ((l.metadata ->> 'type'::text) = ANY (ARRAY['reservation'::text, 'actual'::text, 'cancelled'::text, 'expired'::text])))), ('only an open hold has an expiry'::text,((l.expires_at IS NULL) OR ((l.metadata ->> 'type'::text) = 'reservation'::text))), ('an open hold has an expiry'::text,(NOT (b.began_as_hold AND ((l.metadata ->> 'type'::text) = 'reservation'::text) AND (l.expires_at IS NULL)))), ('a row that began as a hold keeps its estimate'::text,((NOT b.began_as_hold) OR (l.metadata ? 'estimated_cost'::text))), ('an open hold counts its estimate'::text,((l.expires_at IS NULL) OR ((l.metadata ->> 'estimated_cost'::text) IS NULL) OR ((l.metadata ->> 'estimated_cost'::text) = (l.cost)::text))), ('a cancelled hold costs nothing'::text,((NOT b.began_as_hold) OR ((l.metadata ->> 'type'::text) <> 'cancelled'::text) OR (l.cost = (0)::numeric)))) f(rule, holds))
          WHERE (f.holds IS NOT TRUE)
        UNION ALL
         SELECT 'the total is the sum of its parts'::text,
            NULL::uuid,
            format('by expiry: settled %s, held %s; by state: settled %s, held %s'::text, t.settled, t.held, t.spent, t.open) AS format
           FROM (budget._reading() r(now, day, starts_at, ends_at, timezone, daily_soft_cap, daily_hard_cap, emergency_kill, on_expiry, frozen, frozen_reason, unknown_keys, config_error)
             CROSS JOIN LATERAL ( SELECT COALESCE(sum(l.cost) FILTER (WHERE (l.expires_at IS NULL)), (0)::numeric) AS settled,
                    COALESCE(sum(l.cost) FILTER (WHERE (l.expires_at > r.now)), (0)::numeric) AS held,
                    COALESCE(sum(l.cost) FILTER (WHERE (NOT s.is_open)), (0)::numeric) AS spent,
                    COALESCE(sum(l.cost) FILTER (WHERE s.is_open), (0)::numeric) AS open
                   FROM (public.cost_tracking l
                     CROSS JOIN LATERAL ( SELECT COALESCE((((l.metadata ->> 'type'::text) = 'reservation'::text) AND (l.expires_at IS NOT NULL)), false) AS is_open) s)
                  WHERE ((l.created_at >= r.starts_at) AND (l.created_at < r.ends_at) AND ((l.expires_at IS NULL) OR (l.expires_at > r.now)))) t)
          WHERE ((t.settled IS DISTINCT FROM t.spent) OR (t.held IS DISTINCT FROM t.open))
        UNION ALL
         SELECT 'a balance is the sum of its ledger rows'::text,
            NULL::uuid,
            format('budget %s, member %s, from %s: %s, ledger %s'::text, d.budget, d.member, d.starts_at, d.balance, d.ledger) AS format
           FROM budget._drift() d(budget, member, starts_at, balance, ledger)
        )
 SELECT rule,
    id,
    detail
   FROM broken x;

-- Name: VIEW invariants; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON VIEW budget.invariants IS 'No rows when healthy; else one row for each broken rule and ledger row. Alert on the first row.';

-- Name: open_holds; Type: VIEW; Schema: budget; Owner: -

CREATE VIEW budget.open_holds WITH (security_barrier='true') AS
 SELECT l.id AS reservation_id,
    l.service_name,
    l.cost AS estimated_cost,
        CASE
            WHEN ((budget._window(l.created_at, r.timezone)).day IS NOT NULL) THEN l.created_at
            ELSE NULL::timestamp with time zone
        END AS reserved_at,
    l.expires_at,
    (l.metadata -> 'original_metadata'::text) AS metadata
   FROM (budget._reading() r(now, day, starts_at, ends_at, timezone, daily_soft_cap, daily_hard_cap, emergency_kill, on_expiry, frozen, frozen_reason, unknown_keys, config_error)
     LEFT JOIN public.cost_tracking l ON ((l.expires_at > r.now)))
  WHERE (num_nonnulls(l.id) = 1);

-- Name: VIEW open_holds; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON VIEW budget.open_holds IS 'Every hold that counts now, of whatever day, with its estimate in the currency of the limits and its caller''s
metadata. reserved_at is NULL where a direct writer dated it so that it is on no day.';

-- Name: postings; Type: TABLE; Schema: budget; Owner: -

CREATE TABLE budget.postings (
    budget text NOT NULL,
    member text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    slot integer NOT NULL,
    amount numeric NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000');

ALTER TABLE ONLY budget.postings REPLICA IDENTITY FULL;

-- Name: TABLE postings; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON TABLE budget.postings IS 'What was written to the ledger and is not folded into its balance yet. A trigger on the ledger appends.';

-- Name: status; Type: VIEW; Schema: budget; Owner: -

CREATE VIEW budget.status WITH (security_barrier='true') AS
 SELECT r.day,
    r.timezone,
    r.daily_soft_cap,
    r.daily_hard_cap,
    r.emergency_kill,
    t.settled,
    t.held,
    ((r.emergency_kill - t.settled) - t.held) AS remaining,
    round(((t.settled + t.held) / NULLIF(r.emergency_kill, (0)::numeric)), 4) AS share_used,
    t.open_holds,
    t.oldest_hold,
    r.frozen,
    r.frozen_reason,
    r.ends_at AS resets_at,
    r.unknown_keys,
    r.config_error
   FROM (budget._reading() r(now, day, starts_at, ends_at, timezone, daily_soft_cap, daily_hard_cap, emergency_kill, on_expiry, frozen, frozen_reason, unknown_keys, config_error)
     CROSS JOIN LATERAL ( SELECT COALESCE(sum(l.cost) FILTER (WHERE ((l.expires_at IS NULL) OR (l.expires_at <= r.now))), (0)::numeric) AS settled,
            COALESCE(sum(l.cost) FILTER (WHERE (l.expires_at > r.now)), (0)::numeric) AS held,
            count(*) FILTER (WHERE (l.expires_at > r.now)) AS open_holds,
            min(l.created_at) FILTER (WHERE (l.expires_at > r.now)) AS oldest_hold
           FROM public.cost_tracking l
          WHERE ((l.created_at >= r.starts_at) AND (l.created_at < r.ends_at) AND ((l.expires_at IS NULL) OR (l.expires_at > r.now) OR (r.on_expiry = 'keep'::text)))) t);

-- Name: VIEW status; Type: COMMENT; Schema: budget; Owner: -

COMMENT ON VIEW budget.status IS 'The day as it stands, one row. settled, held, remaining and the limits are in the currency of the limits; share_used
is (settled + held) / emergency_kill. Holds of other days are in budget.open_holds. Under a broken configuration
config_error says what is wrong, the day is that of UTC and the limits are NULL. unknown_keys: keys of the limits
that nothing enforces.';

-- Name: proposer_configs; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.proposer_configs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    model text NOT NULL,
    provider text NOT NULL,
    complexity_threshold numeric(5,2) DEFAULT 0.5 NOT NULL,
    cost_profile jsonb NOT NULL,
    active boolean DEFAULT true,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now()
);

-- Name: TABLE proposer_configs; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.proposer_configs IS 'Created by pgbudget.';

-- Name: system_config; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.system_config (
    key text NOT NULL,
    value text NOT NULL,
    description text,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now()
);

-- Name: TABLE system_config; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.system_config IS 'Created by pgbudget.';

-- Name: balances balances_pkey; Type: CONSTRAINT; Schema: budget; Owner: -

ALTER TABLE ONLY budget.balances
    ADD CONSTRAINT balances_pkey PRIMARY KEY (budget, member, starts_at, slot);

-- Name: budgets budgets_pkey; Type: CONSTRAINT; Schema: budget; Owner: -

ALTER TABLE ONLY budget.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (name);

-- Name: cost_tracking cost_tracking_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.cost_tracking
    ADD CONSTRAINT cost_tracking_pkey PRIMARY KEY (id);

-- Name: escalations escalations_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.escalations
    ADD CONSTRAINT escalations_pkey PRIMARY KEY (id);

-- Name: proposer_configs proposer_configs_name_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.proposer_configs
    ADD CONSTRAINT proposer_configs_name_key UNIQUE (name);

-- Name: proposer_configs proposer_configs_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.proposer_configs
    ADD CONSTRAINT proposer_configs_pkey PRIMARY KEY (id);

-- Name: system_config system_config_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.system_config
    ADD CONSTRAINT system_config_pkey PRIMARY KEY (key);

-- Name: work_orders work_orders_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_pkey PRIMARY KEY (id);

-- Name: postings_balance_idx; Type: INDEX; Schema: budget; Owner: -

CREATE INDEX postings_balance_idx ON budget.postings USING btree (budget, member, starts_at, slot);

-- Name: budget_day_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX budget_day_idx ON public.cost_tracking USING btree (created_at) INCLUDE (cost, expires_at);

-- Name: budget_expiry_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX budget_expiry_idx ON public.cost_tracking USING btree (expires_at) WHERE (expires_at IS NOT NULL);

-- Name: escalations_work_order_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX escalations_work_order_id_idx ON public.escalations USING btree (work_order_id);

-- Name: cost_tracking budget_adopt_hold; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER budget_adopt_hold BEFORE INSERT ON public.cost_tracking FOR EACH ROW WHEN (((new.expires_at IS NULL) AND ((new.metadata ->> 'type'::text) = 'reservation'::text))) EXECUTE FUNCTION budget._adopt_hold();

-- Name: cost_tracking budget_guard_hold; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER budget_guard_hold BEFORE UPDATE ON public.cost_tracking FOR EACH ROW WHEN ((((old.metadata ->> 'type'::text) = 'reservation'::text) OR ((new.metadata ->> 'type'::text) = 'reservation'::text) OR ((old.metadata ? 'reserved_at'::text) AND ((old.metadata ->> 'type'::text) = ANY (ARRAY['actual'::text, 'cancelled'::text, 'expired'::text]))))) EXECUTE FUNCTION budget._guard_hold();

-- Name: cost_tracking budget_post_delete; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER budget_post_delete AFTER DELETE ON public.cost_tracking REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

-- Name: cost_tracking budget_post_insert; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER budget_post_insert AFTER INSERT ON public.cost_tracking REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

-- Name: cost_tracking budget_post_truncate; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER budget_post_truncate AFTER TRUNCATE ON public.cost_tracking FOR EACH STATEMENT EXECUTE FUNCTION budget._forget_balances();

-- Name: cost_tracking budget_post_update; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER budget_post_update AFTER UPDATE ON public.cost_tracking REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

-- Name: system_config budget_rezone; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER budget_rezone AFTER INSERT OR DELETE OR UPDATE ON public.system_config FOR EACH ROW EXECUTE FUNCTION budget._rezone();

-- Name: balances balances_budget_fkey; Type: FK CONSTRAINT; Schema: budget; Owner: -

ALTER TABLE ONLY budget.balances
    ADD CONSTRAINT balances_budget_fkey FOREIGN KEY (budget) REFERENCES budget.budgets(name) ON DELETE CASCADE;

-- Name: escalations escalations_work_order_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.escalations
    ADD CONSTRAINT escalations_work_order_id_fkey FOREIGN KEY (work_order_id) REFERENCES public.work_orders(id) ON DELETE CASCADE;

-- Name: SCHEMA budget; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA budget TO budget_caller;
GRANT USAGE ON SCHEMA budget TO budget_admin;
GRANT USAGE ON SCHEMA budget TO budget_reader;

-- Name: FUNCTION _active_proposers(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._active_proposers() FROM PUBLIC;

-- Name: FUNCTION _admit(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._admit(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid) FROM PUBLIC;

-- Name: FUNCTION _admit_all(p_config budget._config, p_now timestamp with time zone, p_postings budget._posting[], p_ids uuid[], p_ttls interval[]); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._admit_all(p_config budget._config, p_now timestamp with time zone, p_postings budget._posting[], p_ids uuid[], p_ttls interval[]) FROM PUBLIC;

-- Name: FUNCTION _adopt_hold(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._adopt_hold() FROM PUBLIC;

-- Name: FUNCTION _adopted_function(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._adopted_function() FROM PUBLIC;

-- Name: FUNCTION _balance(p_config budget._config, p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._balance(p_config budget._config, p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _batch(p_elements jsonb, p_argument text, p_keys text[]); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._batch(p_elements jsonb, p_argument text, p_keys text[]) FROM PUBLIC;

-- Name: FUNCTION _begin_decision(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._begin_decision() FROM PUBLIC;

-- Name: FUNCTION _begin_write(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._begin_write() FROM PUBLIC;

-- Name: FUNCTION _booked(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._booked(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _budget_standing(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._budget_standing() FROM PUBLIC;
GRANT ALL ON FUNCTION budget._budget_standing() TO budget_reader;

-- Name: FUNCTION _budget_status(p_config budget._config, p_total numeric); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._budget_status(p_config budget._config, p_total numeric) FROM PUBLIC;

-- Name: FUNCTION _cancel_order_holds(p_work_order_id uuid, p_last_reservation_id text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._cancel_order_holds(p_work_order_id uuid, p_last_reservation_id text) FROM PUBLIC;

-- Name: FUNCTION _choose_proposer(p_score numeric, p_hard_stop boolean, p_budget_status text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._choose_proposer(p_score numeric, p_hard_stop boolean, p_budget_status text) FROM PUBLIC;

-- Name: FUNCTION _code_rights(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._code_rights() FROM PUBLIC;

-- Name: FUNCTION _counted(p_config budget._config, p_now timestamp with time zone, p_row public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._counted(p_config budget._config, p_now timestamp with time zone, p_row public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _day_start(p_day date, p_zone text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._day_start(p_day date, p_zone text) FROM PUBLIC;

-- Name: FUNCTION _decide(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._decide(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _drift(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._drift() FROM PUBLIC;
GRANT ALL ON FUNCTION budget._drift() TO budget_reader;

-- Name: FUNCTION _element_error(p_place text, p_sqlstate text, p_message text, p_detail text, p_hint text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._element_error(p_place text, p_sqlstate text, p_message text, p_detail text, p_hint text) FROM PUBLIC;

-- Name: FUNCTION _elements(p_elements jsonb, p_argument text, p_keys text[], OUT ids uuid[], OUT amounts numeric[], OUT postings budget._posting[], OUT ttls interval[]); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._elements(p_elements jsonb, p_argument text, p_keys text[], OUT ids uuid[], OUT amounts numeric[], OUT postings budget._posting[], OUT ttls interval[]) FROM PUBLIC;

-- Name: FUNCTION _end_write(p_lock_timeout text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._end_write(p_lock_timeout text) FROM PUBLIC;

-- Name: FUNCTION _escalate_balance(p_config budget._config, p_match budget._match); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._escalate_balance(p_config budget._config, p_match budget._match) FROM PUBLIC;

-- Name: FUNCTION _escalate_caps(p_config budget._config, p_total numeric, p_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._escalate_caps(p_config budget._config, p_total numeric, p_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _escalate_once(p_kind text, p_window text, p_budget text, p_subject text[], p_severity text, p_reason text, p_figures jsonb, p_work_order_id uuid, p_unlisted text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._escalate_once(p_kind text, p_window text, p_budget text, p_subject text[], p_severity text, p_reason text, p_figures jsonb, p_work_order_id uuid, p_unlisted text) FROM PUBLIC;

-- Name: FUNCTION _escalate_refusal(p_config budget._config, p_verdict budget.verdict, p_estimate numeric, p_service_name text, p_request jsonb, p_at timestamp with time zone, p_work_order_id uuid); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._escalate_refusal(p_config budget._config, p_verdict budget.verdict, p_estimate numeric, p_service_name text, p_request jsonb, p_at timestamp with time zone, p_work_order_id uuid) FROM PUBLIC;

-- Name: FUNCTION _escalate_spend(p_config budget._config, p_total numeric, p_row public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._escalate_spend(p_config budget._config, p_total numeric, p_row public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _escalated(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._escalated() FROM PUBLIC;
GRANT ALL ON FUNCTION budget._escalated() TO budget_reader;

-- Name: FUNCTION _fold(p_match budget._match, p_whole boolean); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._fold(p_match budget._match, p_whole boolean) FROM PUBLIC;

-- Name: FUNCTION _forbid(p_row public.cost_tracking, p_operation text, p_given text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._forbid(p_row public.cost_tracking, p_operation text, p_given text) FROM PUBLIC;

-- Name: FUNCTION _foreign_code(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._foreign_code() FROM PUBLIC;

-- Name: FUNCTION _foreign_owners(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._foreign_owners() FROM PUBLIC;

-- Name: FUNCTION _forget_balances(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._forget_balances() FROM PUBLIC;

-- Name: FUNCTION _former_callers(p_function regprocedure); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._former_callers(p_function regprocedure) FROM PUBLIC;

-- Name: FUNCTION _freed(p_amount numeric, p_now timestamp with time zone, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_except_id uuid, p_on_expiry text, p_dimension text, p_member text, OUT is_enough boolean, OUT enough_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._freed(p_amount numeric, p_now timestamp with time zone, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_except_id uuid, p_on_expiry text, p_dimension text, p_member text, OUT is_enough boolean, OUT enough_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _freeze_state(OUT frozen boolean, OUT reason text, OUT since timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._freeze_state(OUT frozen boolean, OUT reason text, OUT since timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _guard_hold(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._guard_hold() FROM PUBLIC;

-- Name: FUNCTION _hand_over(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._hand_over() FROM PUBLIC;

-- Name: FUNCTION _has_day(p_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._has_day(p_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _headroom(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._headroom(p_config budget._config, p_amount numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._hold_metadata(p_estimate numeric, p_metadata jsonb, p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _in_short_tries(p_turns text[], p_statements text[], p_what text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._in_short_tries(p_turns text[], p_statements text[], p_what text) FROM PUBLIC;

-- Name: FUNCTION _insert_balance(p_budget text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_slots integer, p_amount numeric); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._insert_balance(p_budget text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_slots integer, p_amount numeric) FROM PUBLIC;

-- Name: FUNCTION _insert_hold(p_id uuid, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_expires_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._insert_hold(p_id uuid, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_expires_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _insert_posting(p_match budget._match, p_amount numeric); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._insert_posting(p_match budget._match, p_amount numeric) FROM PUBLIC;

-- Name: FUNCTION _is_taken(p_id uuid); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._is_taken(p_id uuid) FROM PUBLIC;

-- Name: FUNCTION _iso(p_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._iso(p_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _keep_found(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._keep_found() FROM PUBLIC;

-- Name: FUNCTION _kept_metadata(p_old public.cost_tracking, p_new public.cost_tracking, p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._kept_metadata(p_old public.cost_tracking, p_new public.cost_tracking, p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _lapsed(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._lapsed(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone, p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _ledger_owner(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._ledger_owner() FROM PUBLIC;

-- Name: FUNCTION _ledger_sum(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._ledger_sum(p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) FROM PUBLIC;

-- Name: TABLE budgets; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.budgets TO budget_admin;
GRANT SELECT ON TABLE budget.budgets TO budget_reader;

-- Name: FUNCTION _limit(p_config budget._config, p_budget budget.budgets, p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._limit(p_config budget._config, p_budget budget.budgets, p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean) FROM PUBLIC;

-- Name: FUNCTION _lock_hold(p_reservation_id uuid); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._lock_hold(p_reservation_id uuid) FROM PUBLIC;

-- Name: FUNCTION _lock_holds(p_ids uuid[], p_actuals numeric[]); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._lock_holds(p_ids uuid[], p_actuals numeric[]) FROM PUBLIC;

-- Name: FUNCTION _lock_ledger(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._lock_ledger() FROM PUBLIC;

-- Name: FUNCTION _lock_order(p_work_order_id uuid); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._lock_order(p_work_order_id uuid) FROM PUBLIC;

-- Name: FUNCTION _lock_table(p_tables text, p_mode text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._lock_table(p_tables text, p_mode text) FROM PUBLIC;

-- Name: FUNCTION _matching(p_config budget._config, p_postings budget._posting[], p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._matching(p_config budget._config, p_postings budget._posting[], p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _member(p_dimension text, p_service_name text, p_request jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._member(p_dimension text, p_service_name text, p_request jsonb) FROM PUBLIC;

-- Name: FUNCTION _metadata(p_metadata jsonb, p_argument text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._metadata(p_metadata jsonb, p_argument text) FROM PUBLIC;

-- Name: FUNCTION _money(p_amount numeric, p_argument text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._money(p_amount numeric, p_argument text) FROM PUBLIC;

-- Name: FUNCTION _note_change(p_kind text, p_reason text, p_old text, p_new text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._note_change(p_kind text, p_reason text, p_old text, p_new text) FROM PUBLIC;

-- Name: FUNCTION _note_found(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._note_found() FROM PUBLIC;

-- Name: FUNCTION _now(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._now() FROM PUBLIC;

-- Name: FUNCTION _open_balance(p_match budget._match); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._open_balance(p_match budget._match) FROM PUBLIC;

-- Name: FUNCTION _outcome(p_row public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._outcome(p_row public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _over_limit(p_config budget._config, p_total numeric); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._over_limit(p_config budget._config, p_total numeric) FROM PUBLIC;

-- Name: FUNCTION _parse_config(p_value text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._parse_config(p_value text) FROM PUBLIC;

-- Name: FUNCTION _period(p_period text, p_at timestamp with time zone, p_zone text, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._period(p_period text, p_at timestamp with time zone, p_zone text, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _post(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._post() FROM PUBLIC;

-- Name: FUNCTION _posted(p_budget text, p_member text, p_starts_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._posted(p_budget text, p_member text, p_starts_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _preflight(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._preflight() FROM PUBLIC;

-- Name: FUNCTION _price(p_proposer text, p_profile jsonb, p_key text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._price(p_proposer text, p_profile jsonb, p_key text) FROM PUBLIC;

-- Name: FUNCTION _read_config(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._read_config() FROM PUBLIC;

-- Name: FUNCTION _reading(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._reading() FROM PUBLIC;
GRANT ALL ON FUNCTION budget._reading() TO budget_reader;

-- Name: FUNCTION _rebuild(p_config budget._config, p_budget text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._rebuild(p_config budget._config, p_budget text) FROM PUBLIC;

-- Name: FUNCTION _reclaim(p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._reclaim(p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._recorded(p_id uuid, p_actual numeric, p_service_name text, p_metadata jsonb) FROM PUBLIC;

-- Name: FUNCTION _replay(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_row public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._replay(p_config budget._config, p_estimate numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_row public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _request(p_metadata jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._request(p_metadata jsonb) FROM PUBLIC;

-- Name: FUNCTION _require_config(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._require_config() FROM PUBLIC;

-- Name: FUNCTION _require_kept(p_asked public.cost_tracking, p_row public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._require_kept(p_asked public.cost_tracking, p_row public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _reserve(p_lock text, p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._reserve(p_lock text, p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval, p_work_order_id uuid) FROM PUBLIC;

-- Name: FUNCTION _rezone(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._rezone() FROM PUBLIC;

-- Name: FUNCTION _routing_decision(p_score numeric, p_hard_stop boolean, p_budget_status text, p_verdict budget.verdict); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._routing_decision(p_score numeric, p_hard_stop boolean, p_budget_status text, p_verdict budget.verdict) FROM PUBLIC;

-- Name: FUNCTION _routing_refused(p_error text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._routing_refused(p_error text) FROM PUBLIC;

-- Name: FUNCTION _serialise(p_lock text, p_postings budget._posting[], OUT decided_at timestamp with time zone, OUT config budget._config); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._serialise(p_lock text, p_postings budget._posting[], OUT decided_at timestamp with time zone, OUT config budget._config) FROM PUBLIC;

-- Name: FUNCTION _service_name(p_service_name text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._service_name(p_service_name text) FROM PUBLIC;

-- Name: FUNCTION _settled(p_row public.cost_tracking, p_actual numeric); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._settled(p_row public.cost_tracking, p_actual numeric) FROM PUBLIC;

-- Name: FUNCTION _settlement(p_config budget._config, p_total numeric, p_metadata jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._settlement(p_config budget._config, p_total numeric, p_metadata jsonb) FROM PUBLIC;

-- Name: FUNCTION _spread_room(p_match budget._match); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._spread_room(p_match budget._match) FROM PUBLIC;

-- Name: FUNCTION _take_postings(p_match budget._match, p_whole boolean); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._take_postings(p_match budget._match, p_whole boolean) FROM PUBLIC;

-- Name: FUNCTION _take_room(p_match budget._match, p_needs_room boolean); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._take_room(p_match budget._match, p_needs_room boolean) FROM PUBLIC;

-- Name: FUNCTION _total_after(p_config budget._config, p_actual numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._total_after(p_config budget._config, p_actual numeric, p_service_name text, p_metadata jsonb, p_now timestamp with time zone, p_hold public.cost_tracking) FROM PUBLIC;

-- Name: FUNCTION _totals_after(p_config budget._config, p_ids uuid[], p_actuals numeric[], p_open integer[], p_now timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._totals_after(p_config budget._config, p_ids uuid[], p_actuals numeric[], p_open integer[], p_now timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _touch(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._touch() FROM PUBLIC;

-- Name: FUNCTION _ttl(p_ttl interval); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._ttl(p_ttl interval) FROM PUBLIC;

-- Name: FUNCTION _unopened(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._unopened(p_budget text, p_dimension text, p_member text, p_starts_at timestamp with time zone, p_ends_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION _window(p_at timestamp with time zone, p_zone text, OUT day date, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._window(p_at timestamp with time zone, p_zone text, OUT day date, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION budget._window(p_at timestamp with time zone, p_zone text, OUT day date, OUT starts_at timestamp with time zone, OUT ends_at timestamp with time zone) TO budget_reader;

-- Name: FUNCTION _write_escalation(p_id uuid, p_kind text, p_severity text, p_component text, p_operation text, p_reason text, p_context jsonb, p_work_order_id uuid, p_status text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._write_escalation(p_id uuid, p_kind text, p_severity text, p_component text, p_operation text, p_reason text, p_context jsonb, p_work_order_id uuid, p_status text) FROM PUBLIC;

-- Name: FUNCTION _zone(p_zone text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget._zone(p_zone text) FROM PUBLIC;

-- Name: FUNCTION cancel(p_reservation_id uuid, p_reason text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.cancel(p_reservation_id uuid, p_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.cancel(p_reservation_id uuid, p_reason text) TO budget_caller;
GRANT ALL ON FUNCTION budget.cancel(p_reservation_id uuid, p_reason text) TO budget_admin;

-- Name: FUNCTION "check"(p_estimated_cost numeric, p_service_name text, p_metadata jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget."check"(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION budget."check"(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) TO budget_caller;
GRANT ALL ON FUNCTION budget."check"(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) TO budget_admin;

-- Name: FUNCTION detect_hard_stop(p_task_description text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.detect_hard_stop(p_task_description text) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.detect_hard_stop(p_task_description text) TO budget_caller;
GRANT ALL ON FUNCTION budget.detect_hard_stop(p_task_description text) TO budget_admin;

-- Name: FUNCTION drop_budget(p_name text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.drop_budget(p_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.drop_budget(p_name text) TO budget_admin;

-- Name: FUNCTION escalate(p_component text, p_operation text, p_error text, p_work_order_id uuid, p_severity text, p_metadata jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.escalate(p_component text, p_operation text, p_error text, p_work_order_id uuid, p_severity text, p_metadata jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.escalate(p_component text, p_operation text, p_error text, p_work_order_id uuid, p_severity text, p_metadata jsonb) TO budget_caller;
GRANT ALL ON FUNCTION budget.escalate(p_component text, p_operation text, p_error text, p_work_order_id uuid, p_severity text, p_metadata jsonb) TO budget_admin;

-- Name: FUNCTION estimate(p_complexity_score numeric, p_hard_stop_required boolean); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.estimate(p_complexity_score numeric, p_hard_stop_required boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.estimate(p_complexity_score numeric, p_hard_stop_required boolean) TO budget_caller;
GRANT ALL ON FUNCTION budget.estimate(p_complexity_score numeric, p_hard_stop_required boolean) TO budget_admin;

-- Name: FUNCTION estimate_from_history(p_service_name text, p_quantile numeric, p_since interval); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.estimate_from_history(p_service_name text, p_quantile numeric, p_since interval) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.estimate_from_history(p_service_name text, p_quantile numeric, p_since interval) TO budget_caller;
GRANT ALL ON FUNCTION budget.estimate_from_history(p_service_name text, p_quantile numeric, p_since interval) TO budget_admin;

-- Name: FUNCTION estimate_tokens(p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.estimate_tokens(p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.estimate_tokens(p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint) TO budget_caller;
GRANT ALL ON FUNCTION budget.estimate_tokens(p_proposer text, p_input_tokens bigint, p_max_output_tokens bigint) TO budget_admin;

-- Name: FUNCTION expire(p_limit integer); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.expire(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.expire(p_limit integer) TO budget_admin;

-- Name: FUNCTION extend(p_reservation_id uuid, p_new_estimate numeric, p_ttl interval); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.extend(p_reservation_id uuid, p_new_estimate numeric, p_ttl interval) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.extend(p_reservation_id uuid, p_new_estimate numeric, p_ttl interval) TO budget_caller;
GRANT ALL ON FUNCTION budget.extend(p_reservation_id uuid, p_new_estimate numeric, p_ttl interval) TO budget_admin;

-- Name: FUNCTION "freeze"(p_reason text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget."freeze"(p_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION budget."freeze"(p_reason text) TO budget_admin;

-- Name: FUNCTION limits(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.limits() FROM PUBLIC;
GRANT ALL ON FUNCTION budget.limits() TO budget_caller;
GRANT ALL ON FUNCTION budget.limits() TO budget_admin;
GRANT ALL ON FUNCTION budget.limits() TO budget_reader;

-- Name: FUNCTION prune(p_before timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.prune(p_before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.prune(p_before timestamp with time zone) TO budget_admin;

-- Name: FUNCTION reconcile(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.reconcile() FROM PUBLIC;
GRANT ALL ON FUNCTION budget.reconcile() TO budget_admin;

-- Name: FUNCTION record(p_actual_cost numeric, p_service_name text, p_metadata jsonb, p_id uuid); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.record(p_actual_cost numeric, p_service_name text, p_metadata jsonb, p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.record(p_actual_cost numeric, p_service_name text, p_metadata jsonb, p_id uuid) TO budget_caller;
GRANT ALL ON FUNCTION budget.record(p_actual_cost numeric, p_service_name text, p_metadata jsonb, p_id uuid) TO budget_admin;

-- Name: FUNCTION reserve(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.reserve(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.reserve(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) TO budget_caller;
GRANT ALL ON FUNCTION budget.reserve(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) TO budget_admin;

-- Name: FUNCTION reserve_advisory(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.reserve_advisory(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.reserve_advisory(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) TO budget_caller;
GRANT ALL ON FUNCTION budget.reserve_advisory(p_estimated_cost numeric, p_service_name text, p_metadata jsonb, p_reservation_id uuid, p_ttl interval) TO budget_admin;

-- Name: FUNCTION reserve_many(p_requests jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.reserve_many(p_requests jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.reserve_many(p_requests jsonb) TO budget_caller;
GRANT ALL ON FUNCTION budget.reserve_many(p_requests jsonb) TO budget_admin;

-- Name: FUNCTION retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text) TO budget_caller;
GRANT ALL ON FUNCTION budget.retry_strategy(p_current_proposer text, p_attempt integer, p_failure_reason text) TO budget_admin;

-- Name: FUNCTION route_work_order(p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, p_approved_by_director boolean); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.route_work_order(p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, p_approved_by_director boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.route_work_order(p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, p_approved_by_director boolean) TO budget_caller;
GRANT ALL ON FUNCTION budget.route_work_order(p_work_order_id uuid, p_task_description text, p_context_requirements jsonb, p_complexity_score numeric, p_approved_by_director boolean) TO budget_admin;

-- Name: FUNCTION set_budget(p_name text, p_limit numeric, p_dimension text, p_member text, p_period text, p_timezone text, p_soft_limits numeric[], p_enforcement text, p_active boolean, p_slots integer, p_extra numeric, p_until timestamp with time zone); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.set_budget(p_name text, p_limit numeric, p_dimension text, p_member text, p_period text, p_timezone text, p_soft_limits numeric[], p_enforcement text, p_active boolean, p_slots integer, p_extra numeric, p_until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.set_budget(p_name text, p_limit numeric, p_dimension text, p_member text, p_period text, p_timezone text, p_soft_limits numeric[], p_enforcement text, p_active boolean, p_slots integer, p_extra numeric, p_until timestamp with time zone) TO budget_admin;

-- Name: FUNCTION set_limits(p_limits jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.set_limits(p_limits jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.set_limits(p_limits jsonb) TO budget_admin;

-- Name: FUNCTION settle(p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.settle(p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.settle(p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb) TO budget_caller;
GRANT ALL ON FUNCTION budget.settle(p_reservation_id uuid, p_actual_cost numeric, p_metadata jsonb) TO budget_admin;

-- Name: FUNCTION settle_many(p_settlements jsonb); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.settle_many(p_settlements jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION budget.settle_many(p_settlements jsonb) TO budget_caller;
GRANT ALL ON FUNCTION budget.settle_many(p_settlements jsonb) TO budget_admin;

-- Name: FUNCTION unfreeze(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.unfreeze() FROM PUBLIC;
GRANT ALL ON FUNCTION budget.unfreeze() TO budget_admin;

-- Name: FUNCTION version(); Type: ACL; Schema: budget; Owner: -

REVOKE ALL ON FUNCTION budget.version() FROM PUBLIC;
GRANT ALL ON FUNCTION budget.version() TO budget_caller;
GRANT ALL ON FUNCTION budget.version() TO budget_admin;
GRANT ALL ON FUNCTION budget.version() TO budget_reader;

-- Name: FUNCTION check_and_reserve_budget(p_estimated_cost numeric, p_service_name text, p_metadata jsonb); Type: ACL; Schema: public; Owner: -

REVOKE ALL ON FUNCTION public.check_and_reserve_budget(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.check_and_reserve_budget(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) TO budget_caller;
GRANT ALL ON FUNCTION public.check_and_reserve_budget(p_estimated_cost numeric, p_service_name text, p_metadata jsonb) TO budget_admin;

-- Name: TABLE budget_status; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.budget_status TO budget_reader;

-- Name: TABLE daily_spend; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.daily_spend TO budget_reader;

-- Name: TABLE escalations; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.escalations TO budget_reader;

-- Name: TABLE hourly_spend; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.hourly_spend TO budget_reader;

-- Name: TABLE invariants; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.invariants TO budget_reader;

-- Name: TABLE open_holds; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.open_holds TO budget_reader;

-- Name: TABLE status; Type: ACL; Schema: budget; Owner: -

GRANT SELECT ON TABLE budget.status TO budget_reader;

-- PostgreSQL database dump complete

