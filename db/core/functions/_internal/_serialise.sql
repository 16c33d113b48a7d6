-- The two variants exclude each other: the advisory one holds ROW EXCLUSIVE on the ledger, which the table lock of the
-- other cannot share. The key spells "pgbudget" in ASCII; it is published so that a DBA finds it in pg_locks.
CREATE OR REPLACE FUNCTION budget._serialise(
    p_lock text,
    p_postings budget._posting[],
    OUT decided_at timestamptz,
    OUT config budget._config
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_lock = 'table' THEN
        LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE;
    ELSE
        LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
        PERFORM pg_advisory_xact_lock(8099550711184319860);
    END IF;
    decided_at := budget._now();
    config := budget._require_config();
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION 'the budget is busy: no decision lock within %', current_setting('lock_timeout')
            USING ERRCODE = '55P03',
            DETAIL = format('Waited for the %s lock of the ledger public.cost_tracking.', p_lock),
            HINT = 'Nothing was reserved; try again. pg_blocking_pids() names the session that holds the lock.';
END
$function$;

REVOKE ALL ON FUNCTION budget._serialise(text, budget._posting[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._serialise(text, budget._posting[]) IS
'Takes the decision lock until the end of the transaction: ''table'' is SHARE ROW EXCLUSIVE on the ledger,
''advisory'' is ROW EXCLUSIVE on the ledger and the transaction-level advisory lock 8099550711184319860. Returns the
instant of the decision and the limits in force, both read under the lock. What is asked for (without created_at where
it is new) chooses the locks in series that have many. Errors: PB005; 55P03.';
