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

-- The calls that had begun before core's functions came back end first: a function that they need would be gone.
-- Between two tries a decision holds no more than what reading the ledger takes, so nobody may even read. The lock that
-- shows that none is left is given back at once: whoever has the ledger reads the limits, and we must not have the one
-- and wait for the other.
DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE');
    RAISE EXCEPTION USING ERRCODE = 'PB099';
EXCEPTION
    WHEN SQLSTATE 'PB099' THEN
        NULL;
END
$do$;

DO $do$
BEGIN
    PERFORM budget._in_short_tries(
        ARRAY['LOCK TABLE public.system_config IN SHARE UPDATE EXCLUSIVE MODE'],
        ARRAY['DROP VIEW IF EXISTS budget.budget_status', 'LOCK TABLE public.system_config IN ACCESS EXCLUSIVE MODE'],
        'public.system_config'
    );
    DROP TRIGGER IF EXISTS budget_rezone ON public.system_config;
END
$do$;

-- begin compiled
DROP VIEW IF EXISTS budget.budget_status;

DROP FUNCTION IF EXISTS budget.settle_many(jsonb);

DROP FUNCTION IF EXISTS budget.reserve_many(jsonb);

DROP FUNCTION IF EXISTS budget.prune(timestamptz);

DROP FUNCTION IF EXISTS budget.reconcile();

DROP FUNCTION IF EXISTS budget.drop_budget(text);

DROP FUNCTION IF EXISTS budget.set_budget(text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamptz);

DROP FUNCTION IF EXISTS budget._totals_after(budget._config, uuid[], numeric[], integer[], timestamptz);

DROP FUNCTION IF EXISTS budget._lock_holds(uuid[], numeric[]);

DROP FUNCTION IF EXISTS budget._admit_all(budget._config, timestamptz, budget._posting[], uuid[], interval[]);

DROP FUNCTION IF EXISTS budget._elements(jsonb, text, text[]);

DROP FUNCTION IF EXISTS budget._batch(jsonb, text, text[]);

DROP FUNCTION IF EXISTS budget._element_error(text, text, text, text, text);

DROP FUNCTION IF EXISTS budget._budget_standing();

DROP FUNCTION IF EXISTS budget._rezone();

DROP FUNCTION IF EXISTS budget._rebuild(budget._config, text);

DROP FUNCTION IF EXISTS budget._touch();

DROP FUNCTION IF EXISTS budget._lock_ledger();

DROP FUNCTION IF EXISTS budget._forget_balances();

DROP FUNCTION IF EXISTS budget._post();

DROP FUNCTION IF EXISTS budget._escalate_balance(budget._config, budget._match);

DROP FUNCTION IF EXISTS budget._balance(budget._config, text, text, text, timestamptz, timestamptz, timestamptz);

DROP FUNCTION IF EXISTS budget._booked(text, text, text, timestamptz, timestamptz);

DROP FUNCTION IF EXISTS budget._lapsed(text, text, timestamptz, timestamptz, timestamptz);

DROP FUNCTION IF EXISTS budget._lock_balance(budget._match, boolean, boolean);

DROP FUNCTION IF EXISTS budget._take_room(budget._match, boolean);

DROP FUNCTION IF EXISTS budget._reclaim(timestamptz);

DROP FUNCTION IF EXISTS budget._spread_room(budget._match);

DROP FUNCTION IF EXISTS budget._fold(budget._match, boolean);

DROP FUNCTION IF EXISTS budget._take_postings(budget._match, boolean);

DROP FUNCTION IF EXISTS budget._insert_posting(budget._match, numeric);

DROP FUNCTION IF EXISTS budget._open_balance(budget._match);

DROP FUNCTION IF EXISTS budget._insert_balance(text, text, timestamptz, timestamptz, integer, numeric);

DROP FUNCTION IF EXISTS budget._unopened(text, text, text, timestamptz, timestamptz);

DROP FUNCTION IF EXISTS budget._posted(text, text, timestamptz);

DROP FUNCTION IF EXISTS budget._ledger_sum(text, text, timestamptz, timestamptz);

DROP FUNCTION IF EXISTS budget._matching(budget._config, budget._posting[], timestamptz);

DROP FUNCTION IF EXISTS budget._limit(budget._config, budget.budgets, timestamptz);

DROP FUNCTION IF EXISTS budget._period(text, timestamptz, text);
-- end compiled

RESET search_path;
