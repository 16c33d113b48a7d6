-- Whoever takes postings passes over those that another is taking, and waits for nobody. They are locked before they
-- are deleted, because DELETE alone would wait.
CREATE OR REPLACE FUNCTION budget._take_postings(p_budget text, p_member text, p_starts_at timestamptz, p_slot integer)
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
                (t.budget, t.member, t.starts_at) = (p_budget, p_member, p_starts_at)
                AND (p_slot IS NULL OR t.slot = p_slot)
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

REVOKE ALL ON FUNCTION budget._take_postings(text, text, timestamptz, integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._take_postings(text, text, timestamptz, integer) IS
'Removes the postings of a balance under one slot, or under all (null), and returns what they add up to; null: there are
none.';
