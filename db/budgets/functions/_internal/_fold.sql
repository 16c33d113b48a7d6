-- Postings that another decision is folding are left to it.
CREATE OR REPLACE FUNCTION budget._fold(p_match budget._match, p_slot integer)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_rows tid[];
    v_amount numeric;
BEGIN
    SELECT array_agg(p.ctid), sum(p.amount)
    INTO v_rows, v_amount
    FROM (
        SELECT o.ctid, o.amount
        FROM budget.postings AS o
        WHERE (o.budget, o.member, o.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        FOR UPDATE SKIP LOCKED
    ) AS p;
    IF v_rows IS NULL THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET amount = b.amount + v_amount, room = b.room - v_amount
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND b.slot = p_slot
        AND (b.slot = 0 OR b.room >= v_amount);
    IF FOUND THEN
        DELETE FROM budget.postings AS o WHERE o.ctid = ANY (v_rows);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._fold(budget._match, integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._fold(budget._match, integer) IS
'Adds the postings that have come in to a slot of their balance, which the caller has locked; not to one that would have
less than no room.';
