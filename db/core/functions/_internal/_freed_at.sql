CREATE OR REPLACE FUNCTION budget._freed_at(
    p_amount numeric,
    p_now timestamptz,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_except_id uuid,
    p_keep boolean
)
RETURNS timestamptz
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT min(f.expires_at)
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
            AND NOT p_keep -- a hold that is kept when it lapses frees nothing
    ) AS f
    WHERE f.freed >= p_amount;
$function$;

REVOKE ALL ON FUNCTION budget._freed_at(numeric, timestamptz, timestamptz, timestamptz, uuid, boolean) FROM PUBLIC;
COMMENT ON FUNCTION budget._freed_at(numeric, timestamptz, timestamptz, timestamptz, uuid, boolean) IS
'The earliest instant at which enough open holds of the window have lapsed to free the amount; NULL if that never is.';
