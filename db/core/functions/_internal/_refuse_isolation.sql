CREATE OR REPLACE FUNCTION budget._refuse_isolation()
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'budget decisions need the isolation level READ COMMITTED'
        USING ERRCODE = 'PB001',
        DETAIL = format('This transaction runs at %s.', upper(current_setting('transaction_isolation'))),
        HINT = 'Call it in a transaction of its own, begun with BEGIN ISOLATION LEVEL READ COMMITTED.';
END
$function$;

REVOKE ALL ON FUNCTION budget._refuse_isolation() FROM PUBLIC;
COMMENT ON FUNCTION budget._refuse_isolation() IS 'Raises PB001: the transaction has another isolation level.';
