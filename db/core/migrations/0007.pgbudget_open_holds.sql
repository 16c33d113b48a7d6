-- depends: 0006.pgbudget_day_index
-- The holds that another writer left open today lapse like every other from now on; older ones are history.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    -- Whoever keeps one of them locked must not keep the others locked through this.
    PERFORM set_config('lock_timeout', '5s', true);
    UPDATE public.cost_tracking AS l
    SET expires_at = l.created_at + (budget._policy_in_force()).reservation_ttl
    FROM budget._reading() AS r
    WHERE
        l.created_at >= r.starts_at
        AND l.expires_at IS NULL
        AND l.metadata ->> 'type' = 'reservation';
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'an open hold is kept locked by a long transaction'
        USING ERRCODE = '55P03',
        DETAIL = 'It was waited for for 5 s.',
        HINT = 'This step changed nothing. End the transaction (pg_stat_activity, pg_locks) and migrate again.';
END
$do$;

RESET search_path;
