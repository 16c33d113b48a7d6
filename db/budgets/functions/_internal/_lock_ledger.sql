CREATE OR REPLACE FUNCTION budget._lock_ledger()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE;
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION 'the ledger is busy: no lock within %', current_setting('lock_timeout')
            USING ERRCODE = '55P03',
            DETAIL = 'A balance is computed while nobody writes the ledger public.cost_tracking.',
            HINT = 'Nothing was changed; try again. pg_blocking_pids() names the session that holds the lock.';
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_ledger() FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_ledger() IS
'Keeps writers of the ledger out until the end of the transaction. Errors: 55P03.';
