-- The wait ran in a subtransaction that was rolled back: what it had locked is free again, and who holds the rest
-- shows.
CREATE OR REPLACE FUNCTION budget._refuse_wait(p_lock text, p_keys bigint[])
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_holder text;
BEGIN
    SELECT format(
        '%s since %s%s',
        CASE
            WHEN k.pid IS NULL THEN 'a prepared transaction (pg_prepared_xacts) holds it'
            ELSE concat_ws(
                ', ', format('process %s holds it', k.pid), 'user ' || a.usename,
                'application ' || nullif(a.application_name, ''), nullif(a.state, 'active')
            )
        END,
        coalesce(budget._iso(a.xact_start), 'an unknown instant'),
        format(' (%s s)', extract(EPOCH FROM date_trunc('second', clock_timestamp() - a.xact_start))::bigint)
    )
    INTO v_holder
    FROM pg_locks AS k
    LEFT JOIN pg_stat_activity AS a ON k.pid = a.pid
    WHERE
        k.granted
        AND k.pid IS DISTINCT FROM pg_backend_pid()
        AND k.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
        AND (
            (
                k.locktype = 'advisory'
                AND k.objsubid = 1
                AND ((k.classid::bigint << 32) | k.objid::bigint) = ANY (p_keys)
                AND (k.mode = 'ExclusiveLock' OR p_lock <> 'shared')
            )
            OR (
                k.locktype = 'relation'
                AND k.relation = 'public.cost_tracking'::regclass
                AND (
                    k.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
                    OR (p_lock = 'table' AND k.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock'))
                )
            )
        )
    ORDER BY a.xact_start
    LIMIT 1;
    RAISE EXCEPTION 'the budget is busy: no decision lock within %', current_setting('lock_timeout')
        USING ERRCODE = '55P03',
        DETAIL = format('Waited for the %s lock: %s.', p_lock, coalesce(v_holder, 'nobody holds it any more')),
        HINT = 'Nothing was reserved; try again. `pgbudget lock` shows who holds it, and how to end that.';
END
$function$;

REVOKE ALL ON FUNCTION budget._refuse_wait(text, bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._refuse_wait(text, bigint[]) IS
'Raises 55P03, naming whoever has held the ledger or one of the advisory locks (p_keys) for the longest.';
