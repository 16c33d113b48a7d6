CREATE OR REPLACE FUNCTION budget.estimate(p_complexity_score numeric, p_hard_stop_required boolean)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_complex_from CONSTANT numeric := 1.0;
    c_simple_below CONSTANT numeric := 0.3;
    c_complex_cost CONSTANT numeric := 2.50;
    c_medium_cost CONSTANT numeric := 1.00;
    c_simple_cost CONSTANT numeric := 0.10;
BEGIN
    IF p_complexity_score IS NULL OR p_complexity_score IN ('NaN', 'Infinity', '-Infinity')
        OR p_hard_stop_required IS NULL
    THEN
        RAISE EXCEPTION 'an estimate needs a finite complexity score, and whether a hard stop is required'
            USING ERRCODE = '22023',
            DETAIL = format(
                'p_complexity_score is %s, p_hard_stop_required is %s.',
                coalesce(p_complexity_score::text, 'null'), coalesce(p_hard_stop_required::text, 'null')
            ),
            HINT = 'Give a score, usually between 0 and 1, and true or false.';
    END IF;
    RETURN CASE
        WHEN p_hard_stop_required OR p_complexity_score >= c_complex_from THEN c_complex_cost
        WHEN p_complexity_score < c_simple_below THEN c_simple_cost
        ELSE c_medium_cost
    END;
END
$function$;

REVOKE ALL ON FUNCTION budget.estimate(numeric, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.estimate(numeric, boolean) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.estimate(numeric, boolean) IS
'The estimated cost of a routing decision, in three tiers.

p_complexity_score    2.50 from a score of 1.0 on, 0.10 below 0.3, 1.00 between
p_hard_stop_required  true: 2.50 whatever the score

Errors: 22023 bad argument. Locks: none.';
