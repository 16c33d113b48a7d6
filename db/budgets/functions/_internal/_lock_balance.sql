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
BEGIN
    IF p_needs_room OR p_match.slots = 1 THEN
        PERFORM
        FROM budget.balances AS b
        WHERE
            (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
            AND (p_whole OR b.slot = p_match.slot)
        ORDER BY b.slot DESC
        FOR NO KEY UPDATE;
        v_locked := FOUND;
    ELSE
        -- Whoever needs no room need not wait for it, and folds what may never fit into a slot.
        PERFORM
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at) AND b.slot = 0
        FOR NO KEY UPDATE SKIP LOCKED;
        v_locked := FOUND;
        p_match.slot := 0;
    END IF;
    IF NOT v_locked AND NOT EXISTS (
        SELECT
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
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

    RETURN budget._take_room(p_match);
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) IS
'Locks what a decision on a balance needs, opened if it is not there: its row or, of one with slots, the own slot with
room enough, or all of them (p_whole). False when the own slot has too little room and no free one has enough:
the caller then gives back what it locked, and locks all.';
