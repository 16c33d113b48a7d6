-- All budgets must have room. Granted, the verdict is the day's; refused, that of the budget that keeps the caller
-- waiting longest. Who asks for nothing is refused by the day alone.
CREATE OR REPLACE FUNCTION budget._verdict(
    p_decision budget._decision,
    p_amount numeric,
    p_service_name text,
    p_hold public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_policy budget._policy := p_decision.policy;
    -- A hold that is extended gives back what it counts already, and one that asks for no more takes from nobody.
    v_counted numeric := budget._counted(v_policy, p_decision.decided_at, p_hold);
    v_asks_no_more boolean := p_hold.id IS NOT NULL AND p_amount <= v_counted;
    v_standing budget._standing := p_decision.standings[1];
    v_verdict budget.verdict := budget._standing_verdict(v_standing, 'granted');
    v_missing numeric;
    v_refusal budget.verdict;
BEGIN
    IF v_policy.frozen THEN
        v_verdict.can_proceed := false;
        v_verdict.reason := 'frozen';
        RETURN v_verdict;
    ELSIF v_asks_no_more OR v_policy.exempt_services ? p_service_name THEN
        RETURN v_verdict;
    END IF;
    FOREACH v_standing IN ARRAY p_decision.standings LOOP
        v_missing := p_amount - v_counted - (v_standing.limit_amount - v_standing.total);
        CONTINUE WHEN v_missing <= 0
            OR NOT v_standing.blocks
            OR (p_amount = 0 AND v_standing.budget <> 'daily');
        v_refusal := budget._refusal(p_decision, v_standing, p_amount, v_missing, p_hold);
        IF v_verdict.can_proceed
            OR coalesce(v_refusal.retry_at, 'infinity') > coalesce(v_verdict.retry_at, 'infinity')
        THEN
            v_verdict := v_refusal;
        END IF;
    END LOOP;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._verdict(budget._decision, numeric, text, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._verdict(budget._decision, numeric, text, public.cost_tracking) IS
'The verdict on an amount, given where its budgets stand: of a new hold (p_hold null), or of one that is extended to it.
The decision must have a policy that holds.';
