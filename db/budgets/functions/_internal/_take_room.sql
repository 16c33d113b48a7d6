CREATE OR REPLACE FUNCTION budget._take_room(p_match budget._match, p_needs_room boolean)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_unfolded record;
    v_missing numeric;
    v_other record;
BEGIN
    SELECT count(*) AS postings, coalesce(sum(o.amount) FILTER (WHERE o.amount > 0), 0) AS amount
    INTO v_unfolded
    FROM budget.postings AS o
    WHERE (o.budget, o.member, o.starts_at) = (p_match.budget, p_match.member, p_match.starts_at);
    -- Under a slot whose sessions never reserve, postings would pile up.
    IF v_unfolded.postings > 100 * p_match.slots THEN
        RETURN false;
    ELSIF NOT p_needs_room THEN
        RETURN true;
    END IF;

    -- What was spent without asking, and what a lowered limit took away, may be missing from any of the slots.
    SELECT
        greatest(0, p_match.amount)
        + greatest(0, -base.room)
        + greatest(0, base.room_of - p_match.limit_amount)
        + v_unfolded.amount
        - own.room
    INTO v_missing
    FROM budget.balances AS base
    INNER JOIN budget.balances AS own USING (budget, member, starts_at)
    WHERE
        (base.budget, base.member, base.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND base.slot = 0
        AND own.slot = p_match.slot;
    IF v_missing <= 0 THEN
        RETURN true;
    END IF;

    -- Only below the own slot, downwards: SKIP LOCKED, too, waits for a row that has just been updated, and this is the
    -- order in which all are locked.
    SELECT b.slot, b.room
    INTO v_other
    FROM budget.balances AS b
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND b.slot > 0
        AND b.slot < p_match.slot
        AND b.room >= v_missing
    ORDER BY b.slot DESC
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Half of the rest comes along, so that the next call finds it here.
    v_missing := v_missing + trunc((v_other.room - v_missing) / 2, 12);
    UPDATE budget.balances AS b
    SET room = b.room + CASE b.slot WHEN p_match.slot THEN v_missing ELSE -v_missing END
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND b.slot IN (p_match.slot, v_other.slot);
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._take_room(budget._match, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._take_room(budget._match, boolean) IS
'Sees to it that the own slot, which the caller has locked, has room for a request that needs room, if need be by taking
some from a slot that is free. False when no slot has enough, or when too many postings wait to be folded.';
