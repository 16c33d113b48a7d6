-- The barrier keeps a reader's own functions from the rows that break no rule; a UNION ALL of the view's own would let
-- them through.
CREATE OR REPLACE VIEW budget.invariants
WITH (security_barrier = true) AS
WITH broken (rule, id, detail) AS (
    SELECT
        f.rule,
        l.id,
        format('cost %s, metadata.type %s, expires_at %s', l.cost, l.metadata ->> 'type', l.expires_at) AS detail
    FROM public.cost_tracking AS l
    CROSS JOIN LATERAL (
        SELECT coalesce(
            l.metadata ? 'reserved_at'
            AND l.metadata ->> 'type' IN ('reservation', 'actual', 'cancelled', 'expired'),
            false
        ) AS began_as_hold
    ) AS b
    CROSS JOIN LATERAL (
        VALUES
        ('a cost is at least 0 and below 1e15', l.cost >= 0 AND l.cost < 1e15),
        ('every row has a creation time', l.created_at IS NOT NULL),
        (
            'every hold is in a state of its life',
            NOT coalesce(
                l.metadata ?& ARRAY['reserved_at', 'requested_cost', 'estimated_cost', 'original_metadata'], false
            )
            OR l.metadata ->> 'type' IN ('reservation', 'actual', 'cancelled', 'expired')
        ),
        ('only an open hold has an expiry', l.expires_at IS NULL OR l.metadata ->> 'type' = 'reservation'),
        (
            'an open hold has an expiry',
            NOT (b.began_as_hold AND l.metadata ->> 'type' = 'reservation' AND l.expires_at IS NULL)
        ),
        ('a row that began as a hold keeps its estimate', NOT b.began_as_hold OR l.metadata ? 'estimated_cost'),
        (
            'an open hold counts its estimate',
            l.expires_at IS NULL
            OR l.metadata ->> 'estimated_cost' IS NULL
            OR l.metadata ->> 'estimated_cost' = l.cost::text
        ),
        ('a cancelled hold costs nothing', NOT b.began_as_hold OR l.metadata ->> 'type' <> 'cancelled' OR l.cost = 0)
    ) AS f (rule, holds)
    WHERE f.holds IS NOT TRUE
    UNION ALL
    SELECT
        'the total is the sum of its parts',
        NULL,
        format('by expiry: settled %s, held %s; by state: settled %s, held %s', t.settled, t.held, t.spent, t.open)
    FROM budget._reading() AS r
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(l.cost) FILTER (WHERE l.expires_at IS NULL), 0) AS settled,
            coalesce(sum(l.cost) FILTER (WHERE l.expires_at > r.now), 0) AS held,
            coalesce(sum(l.cost) FILTER (WHERE NOT s.is_open), 0) AS spent,
            coalesce(sum(l.cost) FILTER (WHERE s.is_open), 0) AS open
        FROM public.cost_tracking AS l
        CROSS JOIN LATERAL (
            SELECT coalesce(l.metadata ->> 'type' = 'reservation' AND l.expires_at IS NOT NULL, false) AS is_open
        ) AS s
        WHERE
            l.created_at >= r.starts_at
            AND l.created_at < r.ends_at
            AND (l.expires_at IS NULL OR l.expires_at > r.now)
    ) AS t
    WHERE (t.settled, t.held) IS DISTINCT FROM (t.spent, t.open)
    UNION ALL
    SELECT
        'a balance is the sum of its ledger rows',
        NULL,
        format('budget %s, member %s, from %s: %s, ledger %s', d.budget, d.member, d.starts_at, d.balance, d.ledger)
    FROM budget._drift() AS d
)

SELECT
    x.rule,
    x.id,
    x.detail
FROM broken AS x;

REVOKE ALL ON budget.invariants FROM PUBLIC;
GRANT SELECT ON budget.invariants TO budget_reader;
COMMENT ON VIEW budget.invariants IS
'No rows when healthy; else one row for each broken rule and ledger row. Alert on the first row.';
