CREATE OR REPLACE FUNCTION budget._require_taken(p_asked public.cost_tracking, p_row public.cost_tracking)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_row.id IS NOT NULL OR NOT budget._is_taken(p_asked.id) THEN
        PERFORM budget._require_kept(p_asked, p_row);
    END IF;
END
$function$;

REVOKE ALL ON FUNCTION budget._require_taken(public.cost_tracking, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._require_taken(public.cost_tracking, public.cost_tracking) IS
'Returns where an insert was left out because its id is taken. Errors: PB006 where the ledger did not keep the row.';
