-- depends: 0002.pgbudget_budgets_functions
-- From here on every writer of the ledger keeps the balances, and decisions read them. Writers wait for this short
-- transaction, which sums the day once.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE ROW EXCLUSIVE');
    CREATE OR REPLACE TRIGGER budget_post_insert
    AFTER INSERT ON public.cost_tracking
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

    CREATE OR REPLACE TRIGGER budget_post_update
    AFTER UPDATE ON public.cost_tracking
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

    CREATE OR REPLACE TRIGGER budget_post_delete
    AFTER DELETE ON public.cost_tracking
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION budget._post();

    CREATE OR REPLACE TRIGGER budget_post_truncate
    AFTER TRUNCATE ON public.cost_tracking
    FOR EACH STATEMENT EXECUTE FUNCTION budget._forget_balances();

    PERFORM budget._rebuild(b.name) FROM budget.budgets AS b;
END
$do$;

-- Balances are compared with the ledger for as long as they are kept, and not before.
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

-- begin functions/_internal/_standings.sql
-- The one name that this series gives another meaning.
CREATE OR REPLACE FUNCTION budget._standings(p_requests budget._request[], p_lock text)
RETURNS budget._decision
LANGUAGE sql
VOLATILE
AS $function$
    SELECT budget._standings_by_balances(p_requests, p_lock)
$function$;

REVOKE ALL ON FUNCTION budget._standings(budget._request[], text) FROM PUBLIC;
COMMENT ON FUNCTION budget._standings(budget._request[], text) IS
'Where each budget stands that the requests belong to, the day first: under locks that last until the end of the
transaction (p_lock: table or advisory, which makes no difference here), or as it is to be seen without any (null).
Errors: 55P03.';
-- end functions/_internal/_standings.sql

RESET search_path;
