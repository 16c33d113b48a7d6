CREATE OR REPLACE FUNCTION budget._spread_room(p_standing budget._standing)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_total numeric;
    v_free numeric;
    v_share numeric;
BEGIN
    PERFORM budget._open(p_standing);
    v_total := coalesce(budget._take_postings(
        p_standing.budget, p_standing.member, p_standing.starts_at, NULL
    ), 0) + sum(b.amount)
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at);
    -- Below nothing, where spend is above the limit or lapsed holds still count: slot 0 has what is missing.
    v_free := p_standing.limit_amount - v_total;
    v_share := trunc(greatest(0, v_free - greatest(0, p_standing.amount)) / p_standing.slots, 12);
    UPDATE budget.balances AS b
    SET
        amount = CASE b.slot WHEN 0 THEN v_total ELSE 0 END,
        room = CASE b.slot
            WHEN 0 THEN least(0, v_free)
            WHEN p_standing.slot THEN greatest(0, v_free) - (p_standing.slots - 1) * v_share
            ELSE v_share
        END,
        room_of = CASE b.slot WHEN 0 THEN p_standing.limit_amount ELSE 0 END
    WHERE (b.budget, b.member, b.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._spread_room(budget._standing) FROM PUBLIC;
COMMENT ON FUNCTION budget._spread_room(budget._standing) IS
'Folds all that is posted to a balance and gives each slot its part of the room, the slot of this session what is asked
besides. The caller has the lock of the whole balance.';
