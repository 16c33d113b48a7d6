SET search_path = pg_catalog, pg_temp;

-- begin guard
-- From here on functions of the schema run, and whoever owns them can change them.
DO $do$
DECLARE
    v_owner text := (
        SELECT r.rolname
        FROM pg_namespace AS n
        INNER JOIN pg_roles AS r ON n.nspowner = r.oid
        WHERE n.nspname = 'budget' AND r.rolname <> current_user AND NOT r.rolsuper
    );
BEGIN
    IF v_owner IS NOT NULL AND NOT coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean THEN
        RAISE EXCEPTION 'the schema budget belongs to another role, whose code would run with the rights of %', current_user
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', v_owner),
            HINT = 'Nothing was changed. Go on as its owner; or, if you trust it with your own rights, with '
                '--accept-owner or the setting pgbudget.accept_owner = on.';
    END IF;
END
$do$;
-- end guard

-- The calls that had begun before the handover's function came back end first: a function that they need would be gone.
-- The views go in the same try, and before: whoever read one may have it until he ends his transaction.
DO $do$
BEGIN
    IF to_regproc('budget._serialise') IS NOT NULL THEN
        PERFORM budget._in_short_tries(
            ARRAY[
                'SELECT pg_advisory_xact_lock(8099550711184319860)',
                'LOCK TABLE public.cost_tracking IN SHARE UPDATE EXCLUSIVE MODE'
            ],
            ARRAY(
                SELECT format('DROP VIEW %s', c.oid::regclass)
                FROM pg_class AS c
                WHERE c.relnamespace = 'budget'::regnamespace AND c.relkind = 'v'
                ORDER BY c.oid DESC
            ) || ARRAY['LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE'],
            'the ledger and the views of schema budget'
        );
    END IF;
END
$do$;

-- begin compiled
DROP VIEW IF EXISTS budget.invariants;

DROP VIEW IF EXISTS budget.hourly_spend;

DROP VIEW IF EXISTS budget.escalations;

DROP FUNCTION IF EXISTS budget._escalated();

DROP VIEW IF EXISTS budget.daily_spend;

DROP VIEW IF EXISTS budget.open_holds;

DROP VIEW IF EXISTS budget.status;

DROP FUNCTION IF EXISTS budget._drift();

DROP FUNCTION IF EXISTS budget.version();

DROP FUNCTION IF EXISTS budget.escalate(text, text, text, uuid, text, jsonb);

DROP FUNCTION IF EXISTS budget.retry_strategy(text, integer, text);

DROP FUNCTION IF EXISTS budget.route_work_order(uuid, text, jsonb, numeric, boolean);

DROP FUNCTION IF EXISTS budget.detect_hard_stop(text);

DROP FUNCTION IF EXISTS budget.unfreeze();

DROP FUNCTION IF EXISTS budget.freeze(text);

DROP FUNCTION IF EXISTS budget.set_limits(jsonb);

DROP FUNCTION IF EXISTS budget.limits();

DROP FUNCTION IF EXISTS budget.estimate_from_history(text, numeric, interval);

DROP FUNCTION IF EXISTS budget.estimate_tokens(text, bigint, bigint);

DROP FUNCTION IF EXISTS budget.estimate(numeric, boolean);

DROP FUNCTION IF EXISTS budget.expire(integer);

DROP FUNCTION IF EXISTS budget.record(numeric, text, jsonb, uuid);

DROP FUNCTION IF EXISTS budget.cancel(uuid, text);

DROP FUNCTION IF EXISTS budget.settle(uuid, numeric, jsonb);

DROP FUNCTION IF EXISTS budget.extend(uuid, numeric, interval);

DROP FUNCTION IF EXISTS budget.check(numeric, text, jsonb);

DROP FUNCTION IF EXISTS budget.reserve_advisory(numeric, text, jsonb, uuid, interval);

DROP FUNCTION IF EXISTS budget.reserve(numeric, text, jsonb, uuid, interval);

DROP FUNCTION IF EXISTS budget._reading();

DROP FUNCTION IF EXISTS budget._cancel_order_holds(uuid, text);

DROP FUNCTION IF EXISTS budget._lock_order(uuid);

DROP FUNCTION IF EXISTS budget._routing_refused(text);

DROP FUNCTION IF EXISTS budget._routing_decision(numeric, boolean, text, budget.verdict);

DROP FUNCTION IF EXISTS budget._choose_proposer(numeric, boolean, text);

DROP FUNCTION IF EXISTS budget._budget_status(budget._config, numeric);

DROP FUNCTION IF EXISTS budget._active_proposers();

DROP FUNCTION IF EXISTS budget._price(text, jsonb, text);

DROP FUNCTION IF EXISTS budget._freeze_state();

DROP FUNCTION IF EXISTS budget._note_change(text, text, text, text);

DROP FUNCTION IF EXISTS budget._adopt_hold();

DROP FUNCTION IF EXISTS budget._guard_hold();

DROP FUNCTION IF EXISTS budget._kept_metadata(public.cost_tracking, public.cost_tracking, timestamptz);

DROP FUNCTION IF EXISTS budget._recorded(uuid, numeric, text, jsonb);

DROP FUNCTION IF EXISTS budget._escalate_spend(budget._config, numeric, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._settlement(budget._config, numeric, jsonb);

DROP FUNCTION IF EXISTS budget._over_limit(budget._config, numeric);

DROP FUNCTION IF EXISTS budget._total_after(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._outcome(public.cost_tracking);

DROP FUNCTION IF EXISTS budget._settled(public.cost_tracking, numeric);

DROP FUNCTION IF EXISTS budget._forbid(public.cost_tracking, text, text);

DROP FUNCTION IF EXISTS budget._lock_hold(uuid);

DROP FUNCTION IF EXISTS budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid);

DROP FUNCTION IF EXISTS budget._admit(budget._config, numeric, text, jsonb, timestamptz, uuid, interval, uuid);

DROP FUNCTION IF EXISTS budget._escalate_refusal(budget._config, budget.verdict, numeric, text, jsonb, timestamptz, uuid);

DROP FUNCTION IF EXISTS budget._escalate_caps(budget._config, numeric, timestamptz);

DROP FUNCTION IF EXISTS budget._escalate_once(text, text, text, text[], text, text, jsonb, uuid, text);

DROP FUNCTION IF EXISTS budget._write_escalation(uuid, text, text, text, text, text, jsonb, uuid, text);

DROP FUNCTION IF EXISTS budget._insert_hold(uuid, numeric, text, jsonb, timestamptz, timestamptz);

DROP FUNCTION IF EXISTS budget._is_taken(uuid);

DROP FUNCTION IF EXISTS budget._require_kept(public.cost_tracking, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._hold_metadata(numeric, jsonb, timestamptz);

DROP FUNCTION IF EXISTS budget._replay(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._decide(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._headroom(budget._config, numeric, text, jsonb, timestamptz, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._freed(numeric, timestamptz, timestamptz, timestamptz, uuid, text, text, text);

DROP FUNCTION IF EXISTS budget._request(jsonb);

DROP FUNCTION IF EXISTS budget._member(text, text, jsonb);

DROP FUNCTION IF EXISTS budget._counted(budget._config, timestamptz, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._serialise(text, budget._posting[]);

DROP FUNCTION IF EXISTS budget._end_write(text);

DROP FUNCTION IF EXISTS budget._begin_write();

DROP FUNCTION IF EXISTS budget._begin_decision();

DROP FUNCTION IF EXISTS budget._require_config();

DROP FUNCTION IF EXISTS budget._read_config();

DROP FUNCTION IF EXISTS budget._parse_config(text);

DROP FUNCTION IF EXISTS budget._zone(text);

DROP FUNCTION IF EXISTS budget._window(timestamptz, text);

DROP FUNCTION IF EXISTS budget._has_day(timestamptz);

DROP FUNCTION IF EXISTS budget._day_start(date, text);

DROP FUNCTION IF EXISTS budget._ttl(interval);

DROP FUNCTION IF EXISTS budget._metadata(jsonb, text);

DROP FUNCTION IF EXISTS budget._service_name(text);

DROP FUNCTION IF EXISTS budget._money(numeric, text);

DROP FUNCTION IF EXISTS budget._iso(timestamptz);

DROP FUNCTION IF EXISTS budget._now();
-- end compiled

REVOKE USAGE ON SCHEMA budget FROM budget_caller, budget_admin, budget_reader;

RESET search_path;
