-- By their expiry: few have lapsed and are not marked, where the planner takes a third of all holds for that.
CREATE OR REPLACE FUNCTION budget._lapsed(
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_now timestamptz
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
        WHERE l.expires_at <= p_now
        OFFSET 0
    ) AS l
    WHERE
        l.created_at >= p_starts_at
        AND l.created_at < p_ends_at
        AND isfinite(l.created_at) -- else it is in no balance
        AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member;
END
$function$;

REVOKE ALL ON FUNCTION budget._lapsed(text, text, timestamptz, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._lapsed(text, text, timestamptz, timestamptz, timestamptz) IS
'What the holds of a member in a window come to that have lapsed at p_now and are not marked expired yet.';
