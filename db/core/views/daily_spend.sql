-- The days are found one after the other in the index, and each is added up by itself: who asks for one day reads that
-- alone. What is on no day (budget._has_day), since a direct writer made it at 'infinity', comes last.
CREATE OR REPLACE VIEW budget.daily_spend
WITH (security_barrier = true) AS
WITH RECURSIVE reading AS MATERIALIZED (
    SELECT
        r.now,
        r.timezone,
        r.on_expiry
    FROM budget._reading() AS r
),

days (day, starts_at, ends_at) AS (
    SELECT
        w.day,
        w.starts_at,
        w.ends_at
    FROM reading AS r
    CROSS JOIN LATERAL budget._window(
        (
            SELECT min(l.created_at)
            FROM public.cost_tracking AS l
            WHERE l.created_at >= timestamptz '0002-01-01 00:00:00+00'
        ), r.timezone
    ) AS w
    WHERE w.day IS NOT NULL
    UNION ALL
    SELECT
        w.day,
        w.starts_at,
        w.ends_at
    FROM days AS d
    CROSS JOIN reading AS r
    CROSS JOIN LATERAL budget._window(
        (
            SELECT min(l.created_at)
            FROM public.cost_tracking AS l
            WHERE l.created_at >= d.ends_at
        ), r.timezone
    ) AS w
    WHERE w.day IS NOT NULL
)

SELECT
    d.day,
    s.service_name,
    s.settled,
    s.held,
    s.cancelled,
    s.expired,
    s.calls
FROM reading AS r
CROSS JOIN (
    SELECT
        d.day,
        d.starts_at,
        d.ends_at - interval '1 microsecond' AS last_at
    FROM days AS d
    UNION ALL
    SELECT
        NULL AS day,
        n.starts_at,
        n.last_at
    FROM (
        VALUES
        (timestamptz '-infinity', timestamptz '0002-01-01 00:00:00+00' - interval '1 microsecond'),
        (timestamptz '9999-01-01 00:00:00+00', 'infinity')
    ) AS n (starts_at, last_at)
) AS d
CROSS JOIN LATERAL (
    SELECT
        l.service_name,
        coalesce(sum(l.cost) FILTER (WHERE h.state IN ('spent', 'kept')), 0) AS settled,
        coalesce(sum(l.cost) FILTER (WHERE h.state = 'held'), 0) AS held,
        coalesce(sum(h.estimated_cost) FILTER (WHERE h.state = 'cancelled'), 0) AS cancelled,
        coalesce(sum(h.estimated_cost) FILTER (WHERE h.state IN ('expired', 'kept')), 0) AS expired,
        count(*) AS calls
    FROM public.cost_tracking AS l
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
    WHERE l.created_at BETWEEN d.starts_at AND d.last_at
    GROUP BY l.service_name
) AS s;

REVOKE ALL ON budget.daily_spend FROM PUBLIC;
GRANT SELECT ON budget.daily_spend TO budget_reader;
COMMENT ON VIEW budget.daily_spend IS
'Spend per day (in the zone in force) and service, in the currency of the limits: settled, held now, the estimates of
what was cancelled and of what lapsed, and the number of ledger rows. settled + held is what counts; where on_expiry
is keep, a lapsed hold stands in settled and in expired.';
