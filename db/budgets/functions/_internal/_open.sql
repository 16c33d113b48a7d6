-- The ledger and its postings are read in one snapshot: a row and its posting are committed together, seen together,
-- and counted once.
CREATE OR REPLACE FUNCTION budget._open(p_standing budget._standing)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.balances (budget, member, starts_at, ends_at, slot, amount, room)
    SELECT p_standing.budget, p_standing.member, p_standing.starts_at, p_standing.ends_at, s.slot, s.amount, s.room
    FROM budget.budgets AS b
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN p_standing.ends_at > b.counted_from THEN 0 -- all of it is in the postings
            ELSE budget._ledger_sum(p_standing.dimension, p_standing.member, p_standing.starts_at, p_standing.ends_at) - (
                SELECT coalesce(sum(o.amount), 0)
                FROM budget.postings AS o
                WHERE (o.budget, o.member, o.starts_at) = (p_standing.budget, p_standing.member, p_standing.starts_at)
            )
        END AS amount
    ) AS f
    CROSS JOIN LATERAL budget._slots_of(b.slots, f.amount) AS s
    WHERE b.name = p_standing.budget
    ON CONFLICT (budget, member, starts_at, slot) DO NOTHING;
END
$function$;

REVOKE ALL ON FUNCTION budget._open(budget._standing) FROM PUBLIC;
COMMENT ON FUNCTION budget._open(budget._standing) IS
'Makes the balance of a window, with its slots and without its postings, where it is not there yet.';
