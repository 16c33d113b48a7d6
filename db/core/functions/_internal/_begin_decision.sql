-- At any higher level the transaction's snapshot is older than the lock, and the sum taken under it is stale.
CREATE OR REPLACE FUNCTION budget._begin_decision()
RETURNS text
LANGUAGE sql
VOLATILE
AS $function$
    SELECT CASE current_setting('transaction_isolation')
        WHEN 'read committed' THEN budget._begin_write()
        ELSE budget._refuse_isolation()
    END
$function$;

REVOKE ALL ON FUNCTION budget._begin_decision() FROM PUBLIC;
COMMENT ON FUNCTION budget._begin_decision() IS
'What budget._begin_write does, for whoever is going to decide. Errors: PB001 at any level but READ COMMITTED.';
