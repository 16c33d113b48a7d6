-- Asked only for a refusal, to explain it: the way to a grant needs no look at single holds.
CREATE OR REPLACE FUNCTION budget._freed(
    p_amount numeric,
    p_now timestamptz,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_except_id uuid,
    p_on_expiry text,
    p_dimension text,
    p_member text,
    OUT held numeric,
    OUT enough_at timestamptz
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        coalesce(max(f.freed), 0),
        -- A hold that is kept when it lapses frees nothing by lapsing.
        min(f.expires_at) FILTER (WHERE f.freed >= p_amount AND p_on_expiry = 'release')
    FROM (
        SELECT
            l.expires_at,
            -- Holds that lapse at one instant are freed together: the frame takes in a row's peers.
            sum(l.cost) OVER (ORDER BY l.expires_at) AS freed
        FROM public.cost_tracking AS l
        WHERE
            l.created_at >= p_starts_at
            AND l.created_at < p_ends_at
            AND l.expires_at > p_now
            AND l.id IS DISTINCT FROM p_except_id
            AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member
    ) AS f;
$function$;

REVOKE ALL ON FUNCTION budget._freed(
    numeric, timestamptz, timestamptz, timestamptz, uuid, text, text, text
) FROM PUBLIC;
COMMENT ON FUNCTION budget._freed(
    numeric, timestamptz, timestamptz, timestamptz, uuid, text, text, text
) IS
'What the other open holds of a member in a window hold together, and the earliest instant at which enough of them have
lapsed to free the amount; NULL if that never is.';
