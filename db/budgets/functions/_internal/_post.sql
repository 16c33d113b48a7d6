-- A posting waits for nobody: no writer of the ledger is held up by a decision, nor holds one up.
CREATE OR REPLACE FUNCTION budget._post()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_postings budget._posting[];
    v_config budget._config;
    v_match budget._match;
    v_piled numeric;
    c_most CONSTANT integer := 100;
    v_told integer := 0; -- members of whom a threshold was told
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
        -- By the request's text, for members go by it: jsonb takes [7] and [7.0] for equal.
        v_postings := ARRAY(
            SELECT ROW(c.service_name, c.request::jsonb, c.created_at, sum(c.cost))::budget._posting
            FROM (
                SELECT n.service_name, budget._request(n.metadata)::text AS request, n.created_at, n.cost
                FROM new_rows AS n
                UNION ALL
                SELECT o.service_name, budget._request(o.metadata)::text, o.created_at, -o.cost
                FROM old_rows AS o
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
        v_piled := NULL;
        -- Where nobody reserves, nobody folds: one posting in a hundred takes with it what has piled up before it. An
        -- older snapshot cannot take what has changed since.
        IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
            v_piled := budget._take_postings(v_match, false);
        END IF;
        PERFORM budget._insert_posting(v_match, v_match.amount + coalesce(v_piled, 0));
        -- Of the rest it is told when they are written next: one statement may write for thousands.
        IF v_match.amount > 0 AND v_match.budget <> 'daily' AND v_told < c_most THEN
            v_told := v_told + budget._escalate_balance(v_config, v_match)::integer;
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._post() FROM PUBLIC;
COMMENT ON FUNCTION budget._post() IS
'Trigger on the ledger, for every writer of it: posts what a statement changed to the balances that it matches.';
