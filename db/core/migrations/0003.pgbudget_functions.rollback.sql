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
    IF to_regproc('budget._reserve') IS NOT NULL THEN
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

DROP FUNCTION IF EXISTS budget._broken_balances();

DROP VIEW IF EXISTS budget.daily_spend;

DROP VIEW IF EXISTS budget.open_holds;

DROP VIEW IF EXISTS budget.status;

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

DROP FUNCTION IF EXISTS budget._routing_status(budget._policy, numeric);

DROP FUNCTION IF EXISTS budget._active_proposers();

DROP FUNCTION IF EXISTS budget._price(text, jsonb, text);

DROP FUNCTION IF EXISTS budget._freeze_state();

DROP FUNCTION IF EXISTS budget._note_change(text, text, text, text);

DROP FUNCTION IF EXISTS budget._adopt_hold();

DROP FUNCTION IF EXISTS budget._guard_hold();

DROP FUNCTION IF EXISTS budget._kept_metadata(public.cost_tracking, public.cost_tracking, timestamptz);

DROP FUNCTION IF EXISTS budget._has_kept_key(jsonb);

DROP FUNCTION IF EXISTS budget._recorded(uuid, numeric, text, jsonb);

DROP FUNCTION IF EXISTS budget._escalate_spend(budget._policy, numeric, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._total_after(text, jsonb, timestamptz, numeric);

DROP FUNCTION IF EXISTS budget._outcome(public.cost_tracking);

DROP FUNCTION IF EXISTS budget._settlement(budget._policy, numeric, jsonb);

DROP FUNCTION IF EXISTS budget._over_limit(budget._policy, numeric);

DROP FUNCTION IF EXISTS budget._is_settled(public.cost_tracking, numeric);

DROP FUNCTION IF EXISTS budget._forbid(public.cost_tracking, text, text);

DROP FUNCTION IF EXISTS budget._lock_hold(uuid);

DROP FUNCTION IF EXISTS budget._reserve(text, numeric, text, jsonb, uuid, interval, uuid);

DROP FUNCTION IF EXISTS budget._escalate_refusal(budget._decision, budget.verdict, numeric, text, uuid);

DROP FUNCTION IF EXISTS budget._escalate_caps(budget._policy, numeric, timestamptz);

DROP FUNCTION IF EXISTS budget._reaches_cap(budget._policy, numeric);

DROP FUNCTION IF EXISTS budget._escalate_once(text, text, text, text[], text, text, jsonb, uuid, text);

DROP FUNCTION IF EXISTS budget._escalation_id(text, text, text, text[], uuid);

DROP FUNCTION IF EXISTS budget._write_escalation(uuid, text, text, text, text, text, jsonb, uuid, text);

DROP FUNCTION IF EXISTS budget._require_taken(public.cost_tracking, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._require_kept(public.cost_tracking, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._is_taken(uuid);

DROP FUNCTION IF EXISTS budget._is_kept(public.cost_tracking, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._hold_metadata(numeric, jsonb, timestamptz);

DROP FUNCTION IF EXISTS budget._replay(numeric, text, jsonb, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._verdict(budget._decision, numeric, text, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._refusal(budget._decision, budget._standing, numeric, numeric, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._standing_verdict(budget._standing, text);

DROP FUNCTION IF EXISTS budget._standings(budget._request[], text);

DROP FUNCTION IF EXISTS budget._standings_by_ledger(budget._request[], text);

DROP FUNCTION IF EXISTS budget._refuse_wait(text, bigint[]);

DROP FUNCTION IF EXISTS budget._requested(jsonb);

DROP FUNCTION IF EXISTS budget._member(text, text, jsonb);

DROP FUNCTION IF EXISTS budget._member_text(jsonb);

DROP FUNCTION IF EXISTS budget._short_text(text);

DROP FUNCTION IF EXISTS budget._counted(budget._policy, timestamptz, public.cost_tracking);

DROP FUNCTION IF EXISTS budget._end_write(text);

DROP FUNCTION IF EXISTS budget._begin_decision();

DROP FUNCTION IF EXISTS budget._refuse_isolation();

DROP FUNCTION IF EXISTS budget._begin_write();

DROP FUNCTION IF EXISTS budget._require_policy(budget._policy);

DROP FUNCTION IF EXISTS budget._refuse_policy(text);

DROP FUNCTION IF EXISTS budget._policy_in_force();

DROP FUNCTION IF EXISTS budget._parse_policy(text);

DROP FUNCTION IF EXISTS budget._zone(text);

DROP FUNCTION IF EXISTS budget._refuse_zone(text);

DROP FUNCTION IF EXISTS budget._day(timestamptz, text);

DROP FUNCTION IF EXISTS budget._has_day(timestamptz);

DROP FUNCTION IF EXISTS budget._day_start(date, text);

DROP FUNCTION IF EXISTS budget._ttl(interval);

DROP FUNCTION IF EXISTS budget._refuse_ttl(interval);

DROP FUNCTION IF EXISTS budget._metadata(jsonb, text);

DROP FUNCTION IF EXISTS budget._refuse_metadata(jsonb, text);

DROP FUNCTION IF EXISTS budget._service_name(text);

DROP FUNCTION IF EXISTS budget._refuse_service_name(text);

DROP FUNCTION IF EXISTS budget._money(numeric, text);

DROP FUNCTION IF EXISTS budget._rounded_money(numeric, text);

DROP FUNCTION IF EXISTS budget._iso(timestamptz);

DROP FUNCTION IF EXISTS budget._now();
-- end compiled

REVOKE USAGE ON SCHEMA budget FROM budget_caller, budget_admin, budget_reader;

RESET search_path;
