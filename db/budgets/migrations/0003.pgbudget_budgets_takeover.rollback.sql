-- Decisions are core's again before the balances are left behind. Writers of the ledger wait for this short while.

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

-- begin compiled
-- Which series decides. In core standings are summed over the ledger; the series budgets puts in the place of this
-- function, and of no other, one that takes them from its balances.
CREATE OR REPLACE FUNCTION budget._standings(p_requests budget._request[], p_lock text)
RETURNS budget._decision
LANGUAGE sql
VOLATILE
AS $function$
    SELECT budget._standings_by_ledger(p_requests, p_lock)
$function$;

REVOKE ALL ON FUNCTION budget._standings(budget._request[], text) FROM PUBLIC;
COMMENT ON FUNCTION budget._standings(budget._request[], text) IS
'Where each budget stands that the requests belong to, the day first: under locks that last until the end of the
transaction (p_lock: table or advisory), or as it is to be seen without any (null). Errors: 55P03.';

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
-- end compiled

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE');
    DROP TRIGGER IF EXISTS budget_post_insert ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_post_update ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_post_delete ON public.cost_tracking;
    DROP TRIGGER IF EXISTS budget_post_truncate ON public.cost_tracking;
    -- Calls that wait here had begun to decide by balances, which nobody keeps from here on: one after the other, then,
    -- by the ledger.
    DELETE FROM budget.balances;
    DELETE FROM budget.postings;
    UPDATE budget.budgets AS b
    SET slots = CASE b.name WHEN 'daily' THEN 1 ELSE b.slots END, counted_from = NULL;
END
$do$;

RESET search_path;
