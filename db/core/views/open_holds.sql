-- The outer join calls _reading whatever the ledger shows: under forced row security it must fail, not find nothing.
-- The barrier keeps a reader's own functions from the rows that are left out.
CREATE OR REPLACE VIEW budget.open_holds
WITH (security_barrier = true) AS
SELECT
    l.id AS reservation_id,
    l.service_name,
    l.cost AS estimated_cost,
    CASE WHEN (budget._window(l.created_at, r.timezone)).day IS NOT NULL THEN l.created_at END AS reserved_at,
    l.expires_at,
    l.metadata -> 'original_metadata' AS metadata
FROM budget._reading() AS r
LEFT JOIN public.cost_tracking AS l ON l.expires_at > r.now
WHERE num_nonnulls(l.id) = 1; -- IS NOT NULL would turn it into an inner join

REVOKE ALL ON budget.open_holds FROM PUBLIC;
GRANT SELECT ON budget.open_holds TO budget_reader;
COMMENT ON VIEW budget.open_holds IS
'Every hold that counts now, of whatever day, with its estimate in the currency of the limits and its caller''s
metadata. reserved_at is NULL where a direct writer dated it so that it is on no day.';
