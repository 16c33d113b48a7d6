-- An expiry is undone with its column. The way back drops the index while everyone goes on writing.

SET search_path = pg_catalog, pg_temp;

-- begin guard
-- From here on functions of the schema run, and whoever owns them can change them.
DO $do$
DECLARE
    v_owner text := (
        SELECT r.rolname
        FROM pg_namespace AS n
        INNER JOIN pg_roles AS r ON n.nspowner = r.oid
        WHERE n.nspname = 'budget' AND r.rolname <> current_user AND NOT r.rolsuper
    );
BEGIN
    IF v_owner IS NOT NULL AND NOT coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean THEN
        RAISE EXCEPTION 'the schema budget belongs to another role, whose code would run with the rights of %', current_user
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', v_owner),
            HINT = 'Nothing was changed. Go on as its owner; or, if you trust it with your own rights, with '
                '--accept-owner or the setting pgbudget.accept_owner = on.';
    END IF;
END
$do$;
-- end guard

-- begin compiled
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
-- end compiled

RESET search_path;
