-- While an index of the ledger is built or dropped, both variants serialise on the advisory lock: who waits for a table
-- lock holds a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn. The advisory lock comes first here: without
-- the index a sum takes long, and whoever waits for his turn must not keep the table's lock meanwhile.
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
    PERFORM pg_advisory_xact_lock(8099550711184319860);
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    decided_at := budget._now();
    config := budget._require_config();
END
$function$;

REVOKE ALL ON FUNCTION budget._serialise(text, budget._posting[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._serialise(text, budget._posting[]) IS
'Takes the transaction-level advisory lock 8099550711184319860 and ROW EXCLUSIVE on the ledger, whatever p_lock says,
until the end of the transaction. Returns the instant of the decision and the limits in force, both read under the locks.
Errors: PB005; 55P03.';
