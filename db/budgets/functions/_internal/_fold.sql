-- Each session posts under its own slot, and whoever holds a slot folds what is under it.
CREATE OR REPLACE FUNCTION budget._fold(p_match budget._match, p_whole boolean)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric := budget._take_postings(p_match, p_whole);
BEGIN
    IF v_amount IS NULL THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET amount = b.amount + v_amount, room = b.room - v_amount
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND b.slot = CASE WHEN p_whole THEN 0 ELSE p_match.slot END
        AND (b.slot = 0 OR b.room >= v_amount);
    IF NOT FOUND THEN
        PERFORM budget._insert_posting(p_match, v_amount); -- until someone holds all slots
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._fold(budget._match, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._fold(budget._match, boolean) IS
'Adds the postings that have come in to their balance: those of the own slot to it, unless it would have less than no
room, or (p_whole) those of all slots to slot 0. The caller has locked the one, or all.';
