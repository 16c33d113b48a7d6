-- The rules in their order: a hard stop wants the strongest, an exceeded hard cap the cheapest, else the cheapest that
-- can do it. Fields that depend on the rule are set beside it.
CREATE OR REPLACE FUNCTION budget._choose_proposer(p_score numeric, p_hard_stop boolean, p_budget_status text)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_hard_stop_proposer CONSTANT text := 'claude-sonnet-4-5';
    v_forced boolean := p_budget_status = 'hard_cap_exceeded';
    v_names text[];
    v_cheapest text[];
    v_capable text[];
    v_strongest text[];
    v_selected text;
    v_choice jsonb;
BEGIN
    -- One reading of the table, so that all rules choose from the same proposers.
    SELECT
        array_agg(a.name ORDER BY a.place),
        array_agg(a.name ORDER BY a.price, a.place),
        array_agg(a.name ORDER BY a.price, a.place) FILTER (WHERE a.complexity_threshold >= p_score),
        array_agg(a.name ORDER BY a.complexity_threshold DESC, a.price, a.place)
    INTO v_names, v_cheapest, v_capable, v_strongest
    FROM budget._active_proposers() AS a;
    IF v_names IS NULL THEN
        RAISE EXCEPTION 'no active proposers available'
            USING ERRCODE = 'PB005',
            DETAIL = 'public.proposer_configs has no row that is active.',
            HINT = 'Activate a proposer, then route the order again.';
    END IF;

    IF p_hard_stop AND NOT v_forced AND c_hard_stop_proposer = ANY (v_names) THEN
        v_selected := c_hard_stop_proposer;
        v_choice := jsonb_build_object(
            'reason', 'Hard stop: security or architecture is touched', 'confidence', 1.0, 'candidates_count', 1,
            'routing_strategy', 'hard_stop_override', 'budget_status', 'within_limits'
        );
    ELSIF v_forced THEN
        v_selected := v_cheapest[1];
        v_choice := jsonb_build_object(
            'reason', 'The daily hard cap is reached: the cheapest proposer is forced', 'confidence', 0.8,
            'candidates_count', cardinality(v_names),
            'routing_strategy', 'budget_forced_optimization', 'budget_status', p_budget_status
        );
    ELSE
        v_selected := coalesce(v_capable[1], v_strongest[1]);
        v_choice := jsonb_build_object(
            'reason', CASE
                WHEN v_capable IS NULL THEN 'No threshold reaches the complexity: the highest is taken'
                ELSE 'The cheapest proposer whose threshold reaches the complexity'
            END,
            'confidence', 0.95, 'candidates_count', coalesce(cardinality(v_capable), 0),
            'routing_strategy', 'max_complexity_ceiling_with_cost_optimization', 'budget_status', p_budget_status
        );
    END IF;
    RETURN v_choice || jsonb_build_object(
        'selected_proposer', v_selected,
        'fallback_proposer', CASE WHEN NOT v_forced THEN (array_remove(v_names, v_selected))[1] END,
        'available_proposers', v_names
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._choose_proposer(numeric, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._choose_proposer(numeric, boolean, text) IS
'Which active proposer takes a task of this complexity, why, and who stands in for it. Errors: PB005 none is active.';
