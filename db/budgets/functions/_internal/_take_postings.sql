-- Whoever takes postings passes over those that another is taking, and waits for nobody. They are locked before they
-- are deleted, because DELETE alone would wait.
CREATE OR REPLACE FUNCTION budget._take_postings(p_match budget._match, p_whole boolean)
RETURNS numeric
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric;
BEGIN
    WITH taken AS (
        DELETE FROM budget.postings AS o
        WHERE o.ctid = ANY (ARRAY(
            SELECT t.ctid
            FROM budget.postings AS t
            WHERE
                (t.budget, t.member, t.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
                AND (p_whole OR t.slot = p_match.slot)
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING o.amount
    )

    SELECT sum(k.amount)
    INTO v_amount
    FROM taken AS k;
    RETURN v_amount;
END
$function$;

REVOKE ALL ON FUNCTION budget._take_postings(budget._match, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._take_postings(budget._match, boolean) IS
'Deletes the postings to a balance, of the own slot or of all, and returns what they came to; NULL when there were
none.';
