CREATE OR REPLACE FUNCTION budget._requests(
    p_requests jsonb,
    OUT postings budget._posting[],
    OUT ids uuid[],
    OUT ttls interval[]
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_request jsonb;
    v_n integer := 0;
    v_detail text;
    v_hint text;
BEGIN
    postings := '{}';
    FOR v_request IN
        SELECT b.*
        FROM budget._batch(
            p_requests, 'p_requests', ARRAY['estimated_cost', 'service_name', 'metadata', 'reservation_id', 'ttl']
        ) AS b
    LOOP
        v_n := v_n + 1;
        IF jsonb_typeof(v_request -> 'service_name') NOT IN ('string', 'null') THEN
            RAISE EXCEPTION 'service_name must be text'
                USING ERRCODE = '22023', DETAIL = format('It is of type %s.', jsonb_typeof(v_request -> 'service_name'));
        END IF;
        postings[v_n] := ROW(
            budget._service_name(v_request ->> 'service_name'),
            budget._metadata(nullif(v_request -> 'metadata', 'null')),
            NULL,
            budget._money((v_request ->> 'estimated_cost')::numeric, 'estimated_cost')
        )::budget._posting;
        ids[v_n] := coalesce((v_request ->> 'reservation_id')::uuid, gen_random_uuid());
        ttls[v_n] := CASE
            WHEN v_request ->> 'ttl' IS NOT NULL THEN budget._ttl((v_request ->> 'ttl')::interval)
        END;
    END LOOP;
EXCEPTION
    WHEN data_exception THEN
        GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
        IF v_n = 0 THEN
            RAISE;
        END IF;
        PERFORM budget._element_error(format('p_requests -> %s', v_n - 1), SQLSTATE, SQLERRM, v_detail, v_hint);
END
$function$;

REVOKE ALL ON FUNCTION budget._requests(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._requests(jsonb) IS
'The requests of a batch, checked as budget.reserve checks its arguments; each has an id. Errors: 22023, 22003.';
