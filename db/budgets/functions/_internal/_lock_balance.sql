-- One order for all: a budget's slots from the highest number down to 0. Whoever holds a slot waits for none above it,
-- and looks at others only where they are free (SKIP LOCKED).
CREATE OR REPLACE FUNCTION budget._lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_locked boolean;
    v_missing numeric;
    v_other record;
BEGIN
    IF p_needs_room OR p_match.slots = 1 THEN
        PERFORM
        FROM budget.balances AS b
        WHERE
            b.budget = p_match.budget
            AND b.member = p_match.member
            AND b.starts_at = p_match.starts_at
            AND (p_whole OR b.slot = p_match.slot)
        ORDER BY b.slot DESC
        FOR NO KEY UPDATE;
        v_locked := FOUND;
    ELSE
        -- Whoever needs no room need not wait for it, and folds what may never fit into a slot.
        PERFORM
        FROM budget.balances AS b
        WHERE b.budget = p_match.budget AND b.member = p_match.member AND b.starts_at = p_match.starts_at AND b.slot = 0
        FOR NO KEY UPDATE SKIP LOCKED;
        v_locked := FOUND;
        p_match.slot := 0;
    END IF;
    IF NOT v_locked AND NOT EXISTS (
        SELECT
        FROM budget.balances AS b
        WHERE b.budget = p_match.budget AND b.member = p_match.member AND b.starts_at = p_match.starts_at
    ) THEN
        IF NOT budget._open_balance(p_match) THEN
            RETURN budget._lock_balance(p_match, p_needs_room, p_whole); -- another has opened it
        END IF;
        v_locked := true;
        p_whole := true;
    END IF;
    IF v_locked THEN
        PERFORM budget._fold(p_match, CASE WHEN p_whole THEN 0 ELSE p_match.slot END);
    END IF;
    IF p_match.slots = 1 OR NOT p_needs_room THEN
        RETURN true;
    ELSIF p_whole THEN
        PERFORM budget._spread_room(p_match);
        RETURN true;
    END IF;

    -- What was spent without asking, and what a lowered limit took away, may be missing from any of the slots.
    SELECT
        greatest(0, p_match.amount)
        + greatest(0, -base.room)
        + greatest(0, base.room_of - p_match.limit_amount)
        + coalesce(
            (
                SELECT sum(o.amount)
                FROM budget.postings AS o
                WHERE
                    o.budget = base.budget
                    AND o.member = base.member
                    AND o.starts_at = base.starts_at
                    AND o.amount > 0
            ),
            0
        )
        - own.room
    INTO v_missing
    FROM budget.balances AS base
    INNER JOIN budget.balances AS own USING (budget, member, starts_at)
    WHERE
        base.budget = p_match.budget
        AND base.member = p_match.member
        AND base.starts_at = p_match.starts_at
        AND base.slot = 0
        AND own.slot = p_match.slot;
    IF v_missing <= 0 THEN
        RETURN true;
    END IF;

    SELECT b.slot, b.room
    INTO v_other
    FROM budget.balances AS b
    WHERE
        b.budget = p_match.budget
        AND b.member = p_match.member
        AND b.starts_at = p_match.starts_at
        AND b.slot NOT IN (0, p_match.slot)
        AND b.room >= v_missing
    ORDER BY b.room DESC
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
        b.budget = p_match.budget
        AND b.member = p_match.member
        AND b.starts_at = p_match.starts_at
        AND b.slot IN (p_match.slot, v_other.slot);
    RETURN true;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) IS
'Locks what a decision on a balance needs, opened if it is not there: its row or, of one with slots, the own slot with
room enough, or all of them (p_whole). False when the own slot has too little room and no free one has enough:
the caller then gives back what it locked, and locks all.';
