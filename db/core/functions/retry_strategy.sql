CREATE OR REPLACE FUNCTION budget.retry_strategy(
    p_current_proposer text,
    p_attempt integer,
    p_failure_reason text
)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    c_attempts CONSTANT integer := 3;
    v_threshold numeric;
    v_action text := 'escalate';
    v_proposer text;
BEGIN
    SELECT p.complexity_threshold
    INTO v_threshold
    FROM public.proposer_configs AS p
    WHERE p.name = p_current_proposer;
    IF NOT FOUND OR p_attempt IS NULL OR p_attempt < 1 THEN
        RAISE EXCEPTION 'a retry needs a known proposer and the number of the attempt that failed'
            USING ERRCODE = '22023',
            DETAIL = format('p_current_proposer is %L, p_attempt is %L.', p_current_proposer, p_attempt),
            HINT = 'The first attempt is number 1.';
    END IF;

    IF p_attempt = 1 THEN
        v_action := 'retry_same';
        v_proposer := p_current_proposer;
    ELSIF p_attempt < c_attempts THEN
        SELECT a.name
        INTO v_proposer
        FROM budget._active_proposers() AS a
        WHERE a.complexity_threshold > v_threshold
        ORDER BY a.complexity_threshold, a.price, a.place
        LIMIT 1;
        v_action := CASE WHEN FOUND THEN 'retry_stronger' ELSE 'escalate' END;
    END IF;
    RETURN jsonb_build_object(
        'should_retry', v_action <> 'escalate',
        'action', v_action,
        'proposer', v_proposer,
        'attempt', p_attempt + 1,
        'max_attempts', c_attempts,
        'failure_reason', p_failure_reason
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.retry_strategy(text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.retry_strategy(text, integer, text) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.retry_strategy(text, integer, text) IS
'What to do after a failed attempt, of three at most: the first retry keeps the proposer, the second moves to the next
active one of a higher complexity threshold, and after that, or where there is none, a human is asked.

p_current_proposer  the proposer that failed, a name of proposer_configs
p_attempt           the number of the attempt that failed, from 1
p_failure_reason    why; handed back

Returns {should_retry, action: retry_same | retry_stronger | escalate, proposer, attempt (the next), max_attempts,
failure_reason}. Errors: 22023 bad argument or unknown proposer. Locks: none.';
