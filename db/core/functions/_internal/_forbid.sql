CREATE OR REPLACE FUNCTION budget._forbid(p_row public.cost_tracking, p_operation text, p_given text)
RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'the reservation % cannot be %: it is %', p_row.id, p_operation, p_row.metadata ->> 'type'
        USING ERRCODE = 'PB004',
        DETAIL = format('In the ledger: %s at cost %s. Given: %s.', p_row.metadata ->> 'type', p_row.cost, p_given),
        HINT = 'What is booked stays booked. For spend beyond it, call budget.record; for a new call, budget.reserve.';
END
$function$;

REVOKE ALL ON FUNCTION budget._forbid(public.cost_tracking, text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._forbid(public.cost_tracking, text, text) IS
'Errors: PB004, with the state that the ledger has and what was asked for.';
