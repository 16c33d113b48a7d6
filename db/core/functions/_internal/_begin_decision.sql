-- At any higher level the transaction's snapshot is older than the lock, and the sum taken under it is stale.
CREATE OR REPLACE FUNCTION budget._begin_decision()
RETURNS text
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'budget decisions need the isolation level READ COMMITTED'
            USING ERRCODE = 'PB001',
            DETAIL = format('This transaction runs at %s.', upper(current_setting('transaction_isolation'))),
            HINT = 'Call it in a transaction of its own, begun with BEGIN ISOLATION LEVEL READ COMMITTED.';
    END IF;
    RETURN budget._begin_write();
END
$function$;

REVOKE ALL ON FUNCTION budget._begin_decision() FROM PUBLIC;
COMMENT ON FUNCTION budget._begin_decision() IS
'What budget._begin_write does, for whoever is going to decide. Errors: PB001 at any level but READ COMMITTED.';
