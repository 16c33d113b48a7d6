-- Once per statement, so that each statement locks its balances in the one order, whatever the order of its rows.
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
    v_match record;
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
        v_postings := ARRAY(
            SELECT ROW(n.service_name, budget._request(n.metadata), n.created_at, n.cost)::budget._posting
            FROM new_rows AS n
            UNION ALL
            SELECT ROW(o.service_name, budget._request(o.metadata), o.created_at, -o.cost)::budget._posting
            FROM old_rows AS o
        );
    END IF;
    IF v_postings = '{}' THEN
        RETURN NULL;
    END IF;

    v_config := budget._read_config();
    FOR v_match IN
        SELECT m.budget, m.dimension, m.member, m.starts_at, m.ends_at, sum(p.amount) AS amount
        FROM unnest(v_postings) AS p
        CROSS JOIN LATERAL budget._matching(v_config, p.service_name, p.request, p.created_at) AS m
        GROUP BY m.budget, m.dimension, m.member, m.starts_at, m.ends_at
        HAVING sum(p.amount) <> 0
        ORDER BY m.budget, m.member, m.starts_at
    LOOP
        PERFORM budget._add_to_balance(
            v_match.budget, v_match.dimension, v_match.member, v_match.starts_at, v_match.ends_at, v_match.amount
        );
        IF v_match.amount > 0 THEN
            PERFORM budget._escalate_balance(v_config, v_match.budget, v_match.member, v_match.starts_at);
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._post() FROM PUBLIC;
COMMENT ON FUNCTION budget._post() IS
'Trigger on the ledger, for every writer of it: adds what a statement changed to the balances that it matches.';
