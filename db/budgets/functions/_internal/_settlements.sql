CREATE OR REPLACE FUNCTION budget._settlements(
    p_settlements jsonb,
    OUT ids uuid[],
    OUT actuals numeric[],
    OUT metadata jsonb[]
)
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_settlement jsonb;
    v_n integer := 0;
    v_detail text;
    v_hint text;
BEGIN
    ids := '{}';
    FOR v_settlement IN
        SELECT b.* FROM budget._batch(p_settlements, 'p_settlements', ARRAY['reservation_id', 'actual_cost', 'metadata']) AS b
    LOOP
        v_n := v_n + 1;
        actuals[v_n] := budget._money((v_settlement ->> 'actual_cost')::numeric, 'actual_cost');
        metadata[v_n] := budget._metadata(nullif(v_settlement -> 'metadata', 'null'));
        ids[v_n] := (v_settlement ->> 'reservation_id')::uuid;
    END LOOP;
EXCEPTION
    WHEN data_exception THEN
        GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
        IF v_n = 0 THEN
            RAISE;
        END IF;
        PERFORM budget._element_error(format('p_settlements -> %s', v_n - 1), SQLSTATE, SQLERRM, v_detail, v_hint);
END
$function$;

REVOKE ALL ON FUNCTION budget._settlements(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._settlements(jsonb) IS
'The settlements of a batch, checked as budget.settle checks its arguments. Errors: 22023, 22003.';
