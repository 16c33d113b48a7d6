CREATE OR REPLACE FUNCTION budget._routing_decision(
    p_score numeric,
    p_hard_stop boolean,
    p_budget_status text,
    p_verdict budget.verdict
)
RETURNS jsonb
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_choice jsonb := budget._choose_proposer(p_score, p_hard_stop, p_budget_status);
BEGIN
    RETURN jsonb_build_object(
        'selected_proposer', v_choice -> 'selected_proposer',
        'reason', v_choice -> 'reason',
        'confidence', v_choice -> 'confidence',
        'fallback_proposer', v_choice -> 'fallback_proposer',
        'routing_metadata', jsonb_build_object(
            'complexity_score', p_score,
            'hard_stop_required', p_hard_stop,
            'daily_spend', p_verdict.current_total::text,
            'budget_status', v_choice -> 'budget_status',
            'available_proposers', v_choice -> 'available_proposers',
            'candidates_count', v_choice -> 'candidates_count',
            'selection_timestamp', budget._iso(budget._now()),
            'routing_strategy', v_choice -> 'routing_strategy',
            'budget_reservation_id', p_verdict.reservation_id
        )
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._routing_decision(numeric, boolean, text, budget.verdict) FROM PUBLIC;
COMMENT ON FUNCTION budget._routing_decision(numeric, boolean, text, budget.verdict) IS
'The decision as it is answered and stored. Money in it is text, which no JSON reader turns into a float.';
