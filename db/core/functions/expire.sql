CREATE OR REPLACE FUNCTION budget.expire(p_limit integer DEFAULT 1000)
RETURNS TABLE (expired integer, released numeric)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text;
    v_now timestamptz;
    -- Without it nothing says whether lapsing frees the money or spends it.
    v_keep boolean := (budget._require_config()).on_expiry = 'keep';
    v_marked record;
    v_asked public.cost_tracking;
BEGIN
    IF p_limit IS NULL OR p_limit < 1 THEN
        RAISE EXCEPTION 'p_limit must be at least 1'
            USING ERRCODE = '22023',
            DETAIL = format('It is %s.', coalesce(p_limit::text, 'null')),
            HINT = 'Leave it out for batches of 1000 holds.';
    END IF;
    v_lock_timeout := budget._begin_write();
    v_now := budget._now();
    WITH lapsed AS (
        SELECT l.id, l.cost, l AS hold
        FROM public.cost_tracking AS l
        WHERE l.expires_at <= v_now
        ORDER BY l.expires_at
        LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED -- whoever holds one of them now is settling, cancelling or extending it
    ),

    marked AS (
        UPDATE public.cost_tracking AS l
        SET
            cost = CASE WHEN v_keep THEN l.cost ELSE 0 END,
            metadata = l.metadata || '{"type": "expired"}'
        FROM lapsed
        WHERE l.id = lapsed.id
        RETURNING lapsed.id, lapsed.cost - l.cost AS released, l AS kept
    )

    SELECT
        count(*)::integer AS holds, coalesce(sum(m.released), 0) AS released,
        array_agg(ARRAY[p.hold, m.kept]) FILTER (
            WHERE
            m.id IS NULL
            OR ((m.kept).id, (m.kept).service_name, (m.kept).cost, (m.kept).created_at, (m.kept).metadata ->> 'type')
            <> (p.id, (p.hold).service_name, CASE WHEN v_keep THEN p.cost ELSE 0 END, (p.hold).created_at, 'expired')
            OR (m.kept).expires_at IS NOT NULL
        ) AS not_kept
    INTO v_marked
    FROM lapsed AS p
    LEFT JOIN marked AS m ON p.id = m.id;
    IF v_marked.not_kept IS NOT NULL THEN
        v_asked := v_marked.not_kept[1][1];
        v_asked.cost := CASE WHEN v_keep THEN v_asked.cost ELSE 0 END;
        v_asked.metadata := v_asked.metadata || '{"type": "expired"}';
        v_asked.expires_at := NULL;
        PERFORM budget._require_kept(v_asked, v_marked.not_kept[1][2]);
    END IF;
    expired := v_marked.holds;
    released := v_marked.released;
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT;
END
$function$;

REVOKE ALL ON FUNCTION budget.expire(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.expire(integer) TO budget_admin;
COMMENT ON FUNCTION budget.expire(integer) IS
'Marks lapsed holds as expired, for cron. Bookkeeping alone: a lapsed hold counts nothing from its instant, marked or
not. One row: how many were marked, and the money they gave back (0 where on_expiry is keep, which books the estimate
as spent).

p_limit  at most so many in this call; call it until expired is 0

Errors: 22023 bad argument; PB005 broken configuration; PB006 the ledger did not keep it; 55P03 lock wait.
Locks: the rows it marks, skipping those that are locked. It takes no decision lock.';
