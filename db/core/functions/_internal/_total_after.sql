-- No decision lock: the money is spent, whatever the answer. What this sees of others is a committed reading.
CREATE OR REPLACE FUNCTION budget._total_after(
    p_service_name text,
    p_request jsonb,
    p_created_at timestamptz,
    p_more numeric
)
RETURNS numeric
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_decision budget._decision := budget._standings(
        ARRAY[ROW(p_service_name, p_request, p_created_at, p_more)::budget._request], NULL
    );
BEGIN
    RETURN (v_decision.standings[1]).total + p_more;
END
$function$;

REVOKE ALL ON FUNCTION budget._total_after(text, jsonb, timestamptz, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._total_after(text, jsonb, timestamptz, numeric) IS
'What the day of a ledger row comes to once the row counts so much more than it does. Takes no lock.';
