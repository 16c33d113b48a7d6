-- A posting waits for nobody: no writer of the ledger is held up by a decision, nor holds one up.
CREATE OR REPLACE FUNCTION budget._post()
RETURNS trigger
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET plan_cache_mode = 'force_generic_plan'
AS $function$
DECLARE
    v_now timestamptz := budget._now();
    v_posted budget.postings[];
    v_any_lapsed boolean := false;
BEGIN
    -- A snapshot older than a budget would not see that there is one to post to (budget._touch).
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM budget.budgets AS b WHERE b.name = 'daily' FOR SHARE;
    END IF;
    -- The tables of old and new rows are there for the statements that have them.
    IF TG_OP = 'INSERT' THEN
        WITH posted AS (
            INSERT INTO budget.postings AS p (budget, member, starts_at, ends_at, slot, amount)
            SELECT b.budget, b.member, b.starts_at, b.ends_at, b.slot, sum(c.cost)
            FROM new_rows AS c
            CROSS JOIN LATERAL budget._balances_of(c.service_name, budget._requested(c.metadata), c.created_at) AS b
            GROUP BY b.budget, b.member, b.starts_at, b.ends_at, b.slot
            HAVING sum(c.cost) <> 0
            RETURNING p
        )

        SELECT array_agg(p.p)
        INTO v_posted
        FROM posted AS p;
    ELSIF TG_OP = 'DELETE' THEN
        WITH posted AS (
            INSERT INTO budget.postings AS p (budget, member, starts_at, ends_at, slot, amount)
            SELECT b.budget, b.member, b.starts_at, b.ends_at, b.slot, -sum(c.cost)
            FROM old_rows AS c
            CROSS JOIN LATERAL budget._balances_of(c.service_name, budget._requested(c.metadata), c.created_at) AS b
            GROUP BY b.budget, b.member, b.starts_at, b.ends_at, b.slot
            HAVING sum(c.cost) <> 0
            RETURNING p
        )

        SELECT array_agg(p.p)
        INTO v_posted
        FROM posted AS p;
    ELSE
        WITH posted AS (
            INSERT INTO budget.postings AS p (budget, member, starts_at, ends_at, slot, amount)
            SELECT b.budget, b.member, b.starts_at, b.ends_at, b.slot, sum(c.cost)
            FROM (
                SELECT n.service_name, n.metadata, n.created_at, n.cost FROM new_rows AS n
                UNION ALL
                SELECT o.service_name, o.metadata, o.created_at, -o.cost FROM old_rows AS o
            ) AS c
            CROSS JOIN LATERAL budget._balances_of(c.service_name, budget._requested(c.metadata), c.created_at) AS b
            GROUP BY b.budget, b.member, b.starts_at, b.ends_at, b.slot
            HAVING sum(c.cost) <> 0
            RETURNING p
        )

        SELECT array_agg(p.p)
        INTO v_posted
        FROM posted AS p;
        -- A hold that had lapsed counted nothing any more: what takes its place is more than there was.
        v_any_lapsed := EXISTS (SELECT FROM old_rows AS o WHERE o.expires_at <= v_now);
    END IF;
    -- Where nobody reserves, nobody folds: one statement in a hundred makes one posting of those that have piled up. An
    -- older snapshot cannot take what has changed since.
    IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM budget._merge_postings(v_posted[1:100]);
    END IF;
    -- The caps of the day are core's.
    IF EXISTS (
        SELECT FROM unnest(v_posted) AS p WHERE p.budget <> 'daily' AND (p.amount > 0 OR v_any_lapsed)
    ) THEN
        PERFORM budget._escalate_thresholds(v_posted, v_now);
    END IF;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._post() FROM PUBLIC;
COMMENT ON FUNCTION budget._post() IS
'Trigger on the ledger, for every writer of it: posts what a statement changed to the balances that it counts in.';
