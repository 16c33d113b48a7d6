-- One order for all: a budget's slots from the highest number down to 0. Whoever holds one waits for none above it.
CREATE OR REPLACE FUNCTION budget._lock_balance(p_match budget._match, p_needs_room boolean, p_whole boolean)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM
    FROM budget.balances AS b
    WHERE
        (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at)
        AND (p_whole OR b.slot = p_match.slot)
    ORDER BY b.slot DESC
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        IF NOT budget._open_balance(p_match) THEN
            RETURN budget._lock_balance(p_match, p_needs_room, p_whole); -- another has opened it
        END IF;
        p_whole := true;
    END IF;
    PERFORM budget._fold(p_match, p_whole);
    IF p_match.slots = 1 THEN
        RETURN true;
    ELSIF p_whole THEN
        PERFORM budget._spread_room(p_match);
        RETURN true;
    END IF;
    RETURN budget._take_room(p_match, p_needs_room);
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_balance(budget._match, boolean, boolean) IS
'Locks what a decision on a balance needs, opened if it is not there: its row or, of one with slots, the own slot with
room enough, or all of them (p_whole). False when the own slot has too little room and no free one has enough:
the caller then gives back what it locked, and locks all.';
