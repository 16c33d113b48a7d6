-- Who was not there when the balances were computed had no rows, and what came since is posted: a member that comes new
-- into a long window is not looked for in all of it.
CREATE OR REPLACE FUNCTION budget._booked(
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_is_counted boolean,
    p_slot integer
)
RETURNS TABLE (
    total numeric,
    is_open boolean,
    posted_here bigint,
    unreserved numeric,
    room_here numeric,
    room_of_base numeric,
    room_of numeric
)
LANGUAGE sql
STABLE
AS $function$
    SELECT
        CASE
            WHEN o.balance IS NOT NULL THEN o.balance + p.posted
            WHEN p_is_counted THEN p.posted
            ELSE budget._ledger_sum(p_dimension, p_member, p_starts_at, p_ends_at)
        END,
        o.balance IS NOT NULL,
        p.posted_here,
        p.unreserved,
        o.room_here,
        o.room_of_base,
        o.room_of
    FROM (
        SELECT
            sum(b.amount) AS balance,
            sum(b.room) FILTER (WHERE b.slot = p_slot) AS room_here,
            sum(b.room) FILTER (WHERE b.slot = 0) AS room_of_base,
            sum(b.room_of) AS room_of
        FROM budget.balances AS b
        WHERE b.budget = p_budget AND b.member = p_member AND b.starts_at = p_starts_at
    ) AS o
    CROSS JOIN (
        SELECT
            coalesce(sum(t.amount), 0) AS posted,
            count(*) FILTER (WHERE t.slot = p_slot) AS posted_here,
            coalesce(sum(t.amount) FILTER (WHERE t.amount > 0), 0) AS unreserved
        FROM budget.postings AS t
        WHERE t.budget = p_budget AND t.member = p_member AND t.starts_at = p_starts_at
    ) AS p
$function$;

REVOKE ALL ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz, boolean, integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._booked(text, text, text, timestamptz, timestamptz, boolean, integer) IS
'What the ledger rows of a member come to in a window (total), from its balance and the postings that are not folded
into it; of those the number under a slot, and the sum of those that add to it (unreserved). Of an open balance the room of
that slot and of slot 0, and the limit that was spread over the slots (room_of). p_is_counted: all of the window is in
balances and postings.';
