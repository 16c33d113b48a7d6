-- Several tables are locked in one try or not at all, so that none is kept from its writers while another is busy. No
-- plain writer queues behind a SHARE UPDATE EXCLUSIVE, so it may take its turn among those who lock the table to
-- reserve, and wait for an autovacuum to give way; both are shut out then, while the strong lock is asked for. The
-- first table's turn is the last, for nobody locks the others to reserve.
CREATE OR REPLACE FUNCTION budget._lock_table(p_tables text, p_mode text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_tables text[] := string_to_array(p_tables, ', ');
BEGIN
    PERFORM budget._in_short_tries(
        ARRAY(
            SELECT format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', t.name)
            FROM unnest(v_tables) WITH ORDINALITY AS t (name, place)
            ORDER BY t.place DESC
        ),
        ARRAY(
            SELECT format('LOCK TABLE %s IN %s MODE', t.name, p_mode)
            FROM unnest(v_tables) WITH ORDINALITY AS t (name, place)
            ORDER BY t.place
        ),
        p_tables
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_table(text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_table(text, text) IS
'Locks tables, named with commas between them and in the order in which callers come to them, until the end of the
transaction, as budget._in_short_tries does. Errors: 55P03.';
