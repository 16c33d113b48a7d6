-- The outer join calls _reading whatever the ledger shows: under forced row security it must fail, not find nothing.
CREATE OR REPLACE VIEW budget.daily_spend
WITH (security_barrier = true) AS
SELECT
    (budget._window(l.created_at, r.timezone)).day AS day,
    l.service_name,
    coalesce(sum(l.cost) FILTER (WHERE h.state IN ('spent', 'kept')), 0) AS settled,
    coalesce(sum(l.cost) FILTER (WHERE h.state = 'held'), 0) AS held,
    coalesce(sum(h.estimated_cost) FILTER (WHERE h.state = 'cancelled'), 0) AS cancelled,
    coalesce(sum(h.estimated_cost) FILTER (WHERE h.state IN ('expired', 'kept')), 0) AS expired,
    count(*) AS calls
FROM budget._reading() AS r
LEFT JOIN public.cost_tracking AS l ON true
CROSS JOIN LATERAL (
    SELECT
        -- Metadata of rows that never were holds is the application's own, and may hold anything.
        CASE
            WHEN l.expires_at IS NOT NULL THEN l.cost
            WHEN l.metadata ->> 'estimated_cost' ~ '^[0-9]+([.][0-9]+)?$'
                THEN (l.metadata ->> 'estimated_cost')::numeric
            ELSE 0
        END AS estimated_cost,
        CASE
            WHEN l.expires_at > r.now THEN 'held'
            WHEN l.expires_at IS NOT NULL AND r.on_expiry = 'keep' THEN 'kept'
            WHEN l.expires_at IS NOT NULL THEN 'expired'
            WHEN NOT coalesce(l.metadata ? 'reserved_at', false) THEN 'spent'
            WHEN l.metadata ->> 'type' = 'cancelled' THEN 'cancelled'
            WHEN l.metadata ->> 'type' = 'expired' AND l.cost > 0 THEN 'kept'
            WHEN l.metadata ->> 'type' = 'expired' THEN 'expired'
            ELSE 'spent'
        END AS state
) AS h
GROUP BY 1, 2
HAVING count(l.id) > 0;

REVOKE ALL ON budget.daily_spend FROM PUBLIC;
GRANT SELECT ON budget.daily_spend TO budget_reader;
COMMENT ON VIEW budget.daily_spend IS
'Spend per day (in the zone in force) and service, in the currency of the limits: settled, held now, the estimates of
what was cancelled and of what lapsed, and the number of ledger rows. settled + held is what counts; where on_expiry
is keep, a lapsed hold stands in settled and in expired.';
