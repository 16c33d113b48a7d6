CREATE OR REPLACE FUNCTION budget._spread_room(p_match budget._match)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_total numeric := sum(b.amount)
        FROM budget.balances AS b
        WHERE (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at);
    v_rest numeric := p_match.limit_amount - v_total - greatest(0, p_match.amount);
    v_share numeric := trunc(v_rest / p_match.slots, 12);
BEGIN
    -- Where there is no room for this request, nothing is gained by moving it.
    IF v_rest < 0 THEN
        RETURN;
    END IF;
    UPDATE budget.balances AS b
    SET
        amount = CASE b.slot WHEN 0 THEN v_total ELSE 0 END,
        room = CASE b.slot
            WHEN 0 THEN 0
            WHEN p_match.slot THEN p_match.limit_amount - v_total - (p_match.slots - 1) * v_share
            ELSE v_share
        END,
        room_of = CASE b.slot WHEN 0 THEN p_match.limit_amount ELSE 0 END
    WHERE (b.budget, b.member, b.starts_at) = (p_match.budget, p_match.member, p_match.starts_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._spread_room(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._spread_room(budget._match) IS
'Spreads the room of a balance over its slots anew, enough for the request to its own. The caller holds them all.';
