-- A request has the arguments of budget.reserve, a settlement those of budget.settle: no service, and an id that is
-- there.
CREATE OR REPLACE FUNCTION budget._elements(
    p_elements jsonb,
    p_argument text,
    p_keys text[],
    OUT ids uuid[],
    OUT amounts numeric[],
    OUT postings budget._posting[],
    OUT ttls interval[]
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_cost CONSTANT text := p_keys[1];
    c_is_request CONSTANT boolean := 'service_name' = ANY (p_keys);
    v_element jsonb;
    v_n integer := 0;
    v_detail text;
    v_hint text;
BEGIN
    ids := '{}';
    postings := '{}';
    FOR v_element IN SELECT b.* FROM budget._batch(p_elements, p_argument, p_keys) AS b LOOP
        v_n := v_n + 1;
        IF jsonb_typeof(v_element -> 'service_name') NOT IN ('string', 'null') THEN
            RAISE EXCEPTION 'service_name must be text'
                USING ERRCODE = '22023', DETAIL = format('It is of type %s.', jsonb_typeof(v_element -> 'service_name'));
        END IF;
        amounts[v_n] := budget._money((v_element ->> c_cost)::numeric, c_cost);
        postings[v_n] := ROW(
            CASE WHEN c_is_request THEN budget._service_name(v_element ->> 'service_name') END,
            budget._metadata(nullif(v_element -> 'metadata', 'null')),
            NULL,
            amounts[v_n]
        )::budget._posting;
        ids[v_n] := coalesce((v_element ->> 'reservation_id')::uuid, CASE WHEN c_is_request THEN gen_random_uuid() END);
        ttls[v_n] := CASE
            WHEN v_element ->> 'ttl' IS NOT NULL THEN budget._ttl((v_element ->> 'ttl')::interval)
        END;
    END LOOP;
EXCEPTION
    WHEN data_exception THEN
        GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
        IF v_n = 0 THEN
            RAISE;
        END IF;
        PERFORM budget._element_error(format('%s -> %s', p_argument, v_n - 1), SQLSTATE, SQLERRM, v_detail, v_hint);
END
$function$;

REVOKE ALL ON FUNCTION budget._elements(jsonb, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._elements(jsonb, text, text[]) IS
'The requests or settlements of a batch, their amount under the first of p_keys, checked as the function for one checks
its arguments. A request has an id. Errors: 22023, 22003, with the place of the element in the detail.';
