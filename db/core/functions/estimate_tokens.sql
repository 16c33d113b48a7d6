CREATE OR REPLACE FUNCTION budget.estimate_tokens(
    p_proposer text,
    p_input_tokens bigint,
    p_max_output_tokens bigint
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_profile jsonb;
    v_input numeric;
    v_output numeric;
BEGIN
    IF coalesce(p_input_tokens, -1) < 0 OR coalesce(p_max_output_tokens, -1) < 0 THEN
        RAISE EXCEPTION 'token counts must be 0 or more'
            USING ERRCODE = '22023',
            DETAIL = format(
                'p_input_tokens is %s, p_max_output_tokens is %s.',
                coalesce(p_input_tokens::text, 'null'), coalesce(p_max_output_tokens::text, 'null')
            ),
            HINT = 'Count the prompt''s tokens, and give the ceiling that the call itself is given.';
    END IF;
    SELECT p.cost_profile INTO v_profile FROM public.proposer_configs AS p WHERE p.name = p_proposer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no proposer named %', coalesce(p_proposer, 'null')
            USING ERRCODE = '22023',
            DETAIL = 'public.proposer_configs has no such name.',
            HINT = 'An unknown proposer has no price, and is never taken for free.';
    END IF;
    v_input := budget._price(p_proposer, v_profile, 'input_cost_per_token');
    v_output := budget._price(p_proposer, v_profile, 'output_cost_per_token');
    RETURN budget._money(p_input_tokens * v_input + p_max_output_tokens * v_output, 'the estimate');
END
$function$;

REVOKE ALL ON FUNCTION budget.estimate_tokens(text, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.estimate_tokens(text, bigint, bigint) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.estimate_tokens(text, bigint, bigint) IS
'The most that a call can cost, from the proposer''s prices: input tokens and the ceiling of output tokens.

p_proposer           a name of proposer_configs, active or not
p_input_tokens       tokens of the prompt
p_max_output_tokens  the ceiling that the call is given

Returns an amount in the currency of cost_profile, at most 12 decimals, rounded up.
Errors: 22023 bad argument or unknown proposer; PB005 a price is missing or no amount; 22003 too large. Locks: none.';
