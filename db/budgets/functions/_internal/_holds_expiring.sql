-- By the index on it: few holds have lapsed and are not marked, and few are open, where the planner takes a third of
-- all.
CREATE OR REPLACE FUNCTION budget._holds_expiring(
    p_standing budget._standing,
    p_after timestamptz,
    p_until timestamptz
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $function$
BEGIN
    RETURN coalesce(sum(l.cost), 0)
    FROM (
        SELECT l.service_name, l.metadata, l.created_at, l.cost
        FROM public.cost_tracking AS l
        WHERE l.expires_at > p_after AND l.expires_at <= p_until
        OFFSET 0
    ) AS l
    WHERE
        l.created_at >= p_standing.starts_at
        AND l.created_at < p_standing.ends_at
        AND isfinite(l.created_at) -- else it is in no balance
        AND budget._member(p_standing.dimension, l.service_name, budget._requested(l.metadata)) = p_standing.member;
END
$function$;

REVOKE ALL ON FUNCTION budget._holds_expiring(budget._standing, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._holds_expiring(budget._standing, timestamptz, timestamptz) IS
'What the holds that expire after p_after, and by p_until, come to in a balance: up to now those that have lapsed and
are not marked, from now on the open ones.';
