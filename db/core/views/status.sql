CREATE OR REPLACE VIEW budget.status
WITH (security_barrier = true) AS
SELECT
    r.day,
    r.timezone,
    r.daily_soft_cap,
    r.daily_hard_cap,
    r.emergency_kill,
    t.settled,
    t.held,
    r.emergency_kill - t.settled - t.held AS remaining,
    round((t.settled + t.held) / nullif(r.emergency_kill, 0), 4) AS share_used,
    t.open_holds,
    t.oldest_hold,
    r.frozen,
    r.frozen_reason,
    r.ends_at AS resets_at,
    r.unknown_keys,
    r.config_error
FROM budget._reading() AS r
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(l.cost) FILTER (WHERE l.expires_at IS NULL OR l.expires_at <= r.now), 0) AS settled,
        coalesce(sum(l.cost) FILTER (WHERE l.expires_at > r.now), 0) AS held,
        count(*) FILTER (WHERE l.expires_at > r.now) AS open_holds,
        min(l.created_at) FILTER (WHERE l.expires_at > r.now) AS oldest_hold
    FROM public.cost_tracking AS l
    WHERE
        l.created_at >= r.starts_at
        AND l.created_at < r.ends_at
        AND (l.expires_at IS NULL OR l.expires_at > r.now OR r.on_expiry = 'keep')
) AS t;

REVOKE ALL ON budget.status FROM PUBLIC;
GRANT SELECT ON budget.status TO budget_reader;
COMMENT ON VIEW budget.status IS
'The day as it stands, one row. settled, held, remaining and the limits are in the currency of the limits; share_used
is (settled + held) / emergency_kill. Holds of other days are in budget.open_holds. Under a broken configuration
config_error says what is wrong, the day is that of UTC and the limits are NULL. unknown_keys: keys of the limits
that nothing enforces.';
