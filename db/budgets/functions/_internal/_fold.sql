-- Each session posts under its own slot, and whoever has a slot folds what is under it. A slot never has less room than
-- none: what does not fit in it stays a posting until somebody has the whole balance.
CREATE OR REPLACE FUNCTION budget._fold(p_standing budget._standing)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric;
BEGIN
    -- A balance is opened for what is posted to it, never by a refusal; and before anything is taken: of an old window,
    -- it is opened with all that the ledger has.
    IF NOT EXISTS (
        SELECT
        FROM budget.postings AS o
        WHERE
            (o.budget, o.member, o.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
            AND o.slot = p_standing.slot
    ) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
    ) THEN
        PERFORM budget._open(p_standing);
    END IF;
    v_amount := budget._take_postings(p_standing.budget, p_standing.member, p_standing.starts_at, p_standing.slot);
    IF v_amount IS NULL THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET amount = b.amount + v_amount, room = b.room - v_amount
    WHERE
        (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
        AND b.slot = p_standing.slot
        AND (b.slot = 0 OR b.room >= v_amount);
    IF NOT FOUND THEN
        INSERT INTO budget.postings (budget, member, starts_at, ends_at, slot, amount)
        VALUES (
            p_standing.budget, p_standing.member, p_standing.starts_at, p_standing.ends_at, p_standing.slot, v_amount
        );
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._fold(budget._standing) FROM PUBLIC;
COMMENT ON FUNCTION budget._fold(budget._standing) IS
'Adds the postings under a slot to its balance, which is opened where it is not there yet. The caller has the lock of
the slot.';
