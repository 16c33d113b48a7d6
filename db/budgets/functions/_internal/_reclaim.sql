-- What has lapsed and is not marked is looked at by every decision: so many are not left to the sweeper. The oldest
-- alone is asked for first, which the planner finds by the index whatever it knows of the ledger; the rest is pinned to
-- it.
CREATE OR REPLACE FUNCTION budget._reclaim(p_now timestamptz)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $function$
DECLARE
    c_few CONSTANT integer := 100;
BEGIN
    IF (SELECT min(l.expires_at) FROM public.cost_tracking AS l WHERE l.expires_at <= p_now) IS NOT NULL
        AND c_few < (
            SELECT count(*)
            FROM (
                SELECT FROM public.cost_tracking AS l WHERE l.expires_at <= p_now ORDER BY l.expires_at LIMIT c_few + 1
            ) AS t
        )
    THEN
        PERFORM budget.expire(1000);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._reclaim(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._reclaim(timestamptz) IS
'Marks holds expired when more than a few have lapsed at p_now.';
