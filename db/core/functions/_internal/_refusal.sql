-- Asked only for a refusal, to explain it: the way to a grant needs no look at single holds. They are read in the order
-- in which they lapse, and no further than to the one that frees enough. A cursor is planned for the first rows of its
-- answer: the index on that order is used however many holds the planner takes to be open.
CREATE OR REPLACE FUNCTION budget._refusal(
    p_decision budget._decision,
    p_standing budget._standing,
    p_amount numeric,
    p_missing numeric,
    p_hold public.cost_tracking
)
RETURNS budget.verdict
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET cursor_tuple_fraction = 0.001
AS $function$
DECLARE
    v_verdict budget.verdict := budget._standing_verdict(p_standing, 'exhausted');
    c_holds CURSOR FOR
        SELECT l.expires_at, l.cost
        FROM public.cost_tracking AS l
        WHERE
            l.expires_at > p_decision.decided_at
            AND l.created_at >= p_standing.starts_at
            AND l.created_at < p_standing.ends_at
            AND isfinite(l.created_at)
            AND l.id IS DISTINCT FROM p_hold.id
            AND budget._member(p_standing.dimension, l.service_name, budget._requested(l.metadata)) = p_standing.member
        ORDER BY l.expires_at;
    v_missing numeric := p_missing;
BEGIN
    IF p_amount > p_standing.limit_amount THEN
        v_verdict.reason := 'too_large';
        RETURN v_verdict;
    END IF;
    -- Of a window that has ended there is no reset to wait for.
    IF v_verdict.resets_at > p_decision.decided_at THEN
        v_verdict.retry_at := v_verdict.resets_at;
    END IF;
    -- By what was held when the total was taken: who ends a hold meanwhile frees it for the next try.
    IF p_missing > coalesce(p_standing.held, 0)
        - (CASE WHEN p_hold.expires_at > p_decision.decided_at THEN p_hold.cost ELSE 0 END)
    THEN
        RETURN v_verdict;
    END IF;
    v_verdict.reason := 'in_flight';
    -- A hold that is kept when it lapses frees nothing by lapsing.
    IF (p_decision.policy).on_expiry = 'release' THEN
        FOR v_hold IN c_holds LOOP
            v_missing := v_missing - v_hold.cost;
            IF v_missing <= 0 THEN
                v_verdict.retry_at := least(v_verdict.retry_at, v_hold.expires_at);
                EXIT;
            END IF;
        END LOOP;
    END IF;
    RETURN v_verdict;
END
$function$;

REVOKE ALL ON FUNCTION budget._refusal(
    budget._decision, budget._standing, numeric, numeric, public.cost_tracking
) FROM PUBLIC;
COMMENT ON FUNCTION budget._refusal(budget._decision, budget._standing, numeric, numeric, public.cost_tracking) IS
'Why a budget has no room for an amount of which so much is missing (p_missing), and when it is worth another try at the
latest. p_hold: the hold that is to be extended, which nobody waits for.';
