-- In the order of their ids: two batches of the same holds wait for each other, and never both ways.
CREATE OR REPLACE FUNCTION budget._lock_holds(p_ids uuid[], p_actuals numeric[])
RETURNS integer[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row public.cost_tracking;
    v_first integer[];
    v_open integer[] := '{}';
    v_n integer := 1;
    v_detail text;
    v_hint text;
BEGIN
    LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;
    PERFORM FROM public.cost_tracking AS l WHERE l.id = ANY (p_ids) ORDER BY l.id FOR NO KEY UPDATE;
    SELECT array_agg(f.first ORDER BY f.n)
    INTO v_first
    FROM (
        SELECT s.n, min(s.n) OVER (PARTITION BY s.id) AS first
        FROM unnest(p_ids) WITH ORDINALITY AS s (id, n)
    ) AS f;
    BEGIN
        WHILE v_n <= cardinality(p_ids) LOOP
            v_row := budget._lock_hold(p_ids[v_n]);
            IF v_first[v_n] < v_n THEN
                v_row.cost := p_actuals[v_first[v_n]];
                v_row.metadata := v_row.metadata || '{"type": "actual"}'; -- what the first makes of it
            END IF;
            IF NOT budget._settled(v_row, p_actuals[v_n]) THEN
                v_open := v_open || v_n;
            END IF;
            v_n := v_n + 1;
        END LOOP;
    EXCEPTION
        WHEN SQLSTATE 'PB002' OR SQLSTATE 'PB004' THEN
            GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
            PERFORM budget._element_error(format('p_settlements -> %s', v_n - 1), SQLSTATE, SQLERRM, v_detail, v_hint);
    END;
    RETURN v_open;
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_holds(uuid[], numeric[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_holds(uuid[], numeric[]) IS
'Locks the holds of a batch and returns the numbers of those settlements that are not booked yet, repeats apart. Errors:
PB002, PB004, with the place of the settlement in the detail; 55P03 lock wait.';
