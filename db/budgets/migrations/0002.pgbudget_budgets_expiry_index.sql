-- depends: 0001.pgbudget_budgets_tables
-- transactional: false
-- Open holds by their expiry: what has lapsed and is not marked is found at once, however long the ledger is.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._note_found();
END
$do$;

-- A build that was cut short leaves an invalid index behind, which IF NOT EXISTS would take for the real one.
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = to_regclass('public.budget_expiry_idx') AND NOT i.indisvalid) THEN
        ALTER INDEX public.budget_expiry_idx RENAME TO budget_expiry_idx_cut_short;
    END IF;
END
$do$;

DROP INDEX CONCURRENTLY IF EXISTS public.budget_expiry_idx_cut_short;

-- Until the takeover, decisions serialise so. Those that had begun are let through first.
-- begin interim/_serialise.sql
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
-- end interim/_serialise.sql

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE UPDATE EXCLUSIVE');
END
$do$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS budget_expiry_idx ON public.cost_tracking (expires_at)
WHERE expires_at IS NOT NULL;

DO $do$
BEGIN
    PERFORM budget._keep_found();
END
$do$;

RESET search_path;
