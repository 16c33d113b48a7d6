-- In this order balances are locked, by everyone.
CREATE OR REPLACE FUNCTION budget._matching(
    p_config budget._config,
    p_postings budget._posting[],
    p_now timestamptz
)
RETURNS SETOF budget._match
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $function$
BEGIN
    RETURN QUERY
    SELECT
        b.name,
        b.dimension,
        m.member,
        w.starts_at,
        w.ends_at,
        budget._limit(p_config, b, p_now),
        b.enforcement,
        b.slots,
        -- Consecutive sessions of a server have consecutive numbers.
        CASE WHEN b.slots > 1 THEN 1 + pg_backend_pid() % b.slots ELSE 0 END,
        sum(p.amount)
    FROM unnest(p_postings) AS p
    CROSS JOIN budget.budgets AS b
    CROSS JOIN LATERAL budget._member(b.dimension, p.service_name, p.request) AS m (member)
    CROSS JOIN LATERAL budget._period(
        b.period, coalesce(p.created_at, p_now), coalesce(b.timezone, p_config.timezone)
    ) AS w
    WHERE b.is_active AND (b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL)) AND w.starts_at IS NOT NULL
    GROUP BY b.*, b.name, m.member, w.starts_at, w.ends_at
    ORDER BY b.name, m.member, w.starts_at;
END
$function$;

REVOKE ALL ON FUNCTION budget._matching(budget._config, budget._posting[], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._matching(budget._config, budget._posting[], timestamptz) IS
'The balances that postings belong to, those of a new request at p_now, in the order of locking.';
