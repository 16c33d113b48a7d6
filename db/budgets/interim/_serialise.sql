-- Between core's decisions and those of this series, both variants serialise on the advisory lock: who waits for a
-- table lock holds a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn. The ledger comes first, as in the
-- decisions before and after: of two orders, each would wait for the other.
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
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    PERFORM pg_advisory_xact_lock(8099550711184319860);
    decided_at := budget._now();
    config := budget._require_config();
END
$function$;

REVOKE ALL ON FUNCTION budget._serialise(text, budget._posting[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._serialise(text, budget._posting[]) IS
'Takes ROW EXCLUSIVE on the ledger and the transaction-level advisory lock 8099550711184319860, whatever p_lock says,
until the end of the transaction. Returns the instant of the decision and the limits in force, both read under the locks.
Errors: PB005; 55P03.';
