-- The outer join is as in daily_spend: an hour without spend is a row too, and forced row security makes it fail.
CREATE OR REPLACE VIEW budget.hourly_spend
WITH (security_barrier = true) AS
SELECT
    h.starts_at AS hour,
    coalesce(sum(l.cost) FILTER (WHERE l.expires_at IS NULL OR l.expires_at <= r.now), 0) AS settled,
    coalesce(sum(l.cost) FILTER (WHERE l.expires_at > r.now), 0) AS held,
    count(l.id) AS calls
FROM budget._reading() AS r
CROSS JOIN LATERAL generate_series(
    r.starts_at, r.ends_at - interval '1 microsecond', interval '1 hour'
) AS h (starts_at)
LEFT JOIN public.cost_tracking AS l
    ON
        l.created_at >= h.starts_at
        AND l.created_at < least(h.starts_at + interval '1 hour', r.ends_at)
        AND (l.expires_at IS NULL OR l.expires_at > r.now OR r.on_expiry = 'keep')
GROUP BY h.starts_at;

REVOKE ALL ON budget.hourly_spend FROM PUBLIC;
GRANT SELECT ON budget.hourly_spend TO budget_reader;
COMMENT ON VIEW budget.hourly_spend IS
'The day in force by its hours, those to come included: what was settled and what is held now of the calls that began
in each, and how many they are, in the currency of the limits. The hours together are the settled and held of
budget.status.';
