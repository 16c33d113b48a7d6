CREATE OR REPLACE FUNCTION budget.estimate_from_history(
    p_service_name text,
    p_quantile numeric DEFAULT 0.9,
    p_since interval DEFAULT '30 days'
)
RETURNS TABLE (estimate numeric, samples bigint)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_service_name text := budget._service_name(p_service_name);
    -- As seconds: adding days to an instant would follow the caller's TimeZone.
    v_seconds double precision := extract(EPOCH FROM p_since)::double precision;
BEGIN
    IF p_quantile BETWEEN 0 AND 1 AND v_seconds > 0 THEN
        RETURN QUERY
        SELECT
            percentile_disc(p_quantile::double precision) WITHIN GROUP (ORDER BY l.cost),
            count(*)
        FROM public.cost_tracking AS l
        WHERE
            l.service_name = v_service_name
            -- Three centuries are all of history, and no instant is out of range.
            AND l.created_at >= budget._now() - make_interval(secs => least(v_seconds, 1e10))
            AND l.metadata ->> 'type' = 'actual'
            AND l.metadata ? 'reserved_at';
        RETURN;
    END IF;
    RAISE EXCEPTION 'a history needs a quantile of 0 to 1 and a span of time'
        USING ERRCODE = '22023',
        DETAIL = format(
            'p_quantile is %s, p_since is %s.', coalesce(p_quantile::text, 'null'), coalesce(p_since::text, 'null')
        ),
        HINT = 'Nine calls of ten cost no more than p_quantile => 0.9.';
END
$function$;

REVOKE ALL ON FUNCTION budget.estimate_from_history(text, numeric, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.estimate_from_history(text, numeric, interval) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.estimate_from_history(text, numeric, interval) IS
'What a service''s calls have cost: the exact quantile of the actual costs of its settled holds. One row.

p_service_name  the service
p_quantile      0 to 1; at 0.9 nine calls of ten cost no more than the estimate
p_since         how far back, counted from now

estimate is NULL, and samples 0, where nothing was settled. Amounts in the currency of the limits.
Errors: 22023 bad argument. Locks: none.';
