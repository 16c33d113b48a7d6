-- Settled spend above the limit is a fact; spend that passes it together with open holds may yet come to less.
CREATE OR REPLACE FUNCTION budget._escalate_spend(
    p_policy budget._policy,
    p_total numeric,
    p_row public.cost_tracking
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_now timestamptz := budget._now();
    v_day record;
    v_held numeric;
    v_is_settled boolean;
BEGIN
    IF budget._reaches_cap(p_policy, p_total) IS NOT TRUE THEN
        RETURN;
    END IF;
    v_day := budget._day(p_row.created_at, p_policy.timezone);
    PERFORM budget._escalate_caps(p_policy, p_total, v_day.starts_at);
    IF NOT budget._over_limit(p_policy, p_total) THEN
        RETURN;
    END IF;
    SELECT coalesce(sum(l.cost), 0)
    INTO v_held
    FROM public.cost_tracking AS l
    WHERE l.expires_at > v_now AND l.created_at >= v_day.starts_at AND l.created_at < v_day.ends_at;
    v_is_settled := p_total - v_held > p_policy.emergency_kill;
    PERFORM budget._escalate_once(
        'budget_overrun',
        to_char(v_day.day, 'YYYY-MM-DD'),
        'daily',
        ARRAY['daily', CASE WHEN v_is_settled THEN 'settled' ELSE 'held' END],
        CASE WHEN v_is_settled THEN 'critical' ELSE 'warning' END,
        format(
            'The day''s budget is overrun%s: settled %s, held %s, limit %s. The last to spend was %s, %s.',
            CASE WHEN NOT v_is_settled THEN ' if all open holds are spent' END,
            p_total - v_held, v_held, p_policy.emergency_kill, p_row.service_name, p_row.cost
        ),
        jsonb_build_object(
            'service_name', p_row.service_name,
            'estimated_cost', p_row.metadata ->> 'estimated_cost',
            'actual_cost', p_row.cost::text,
            'settled', (p_total - v_held)::text,
            'held', v_held::text,
            'current_total', p_total::text,
            'limit_amount', p_policy.emergency_kill::text
        ),
        NULL,
        NULL
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_spend(budget._policy, numeric, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_spend(budget._policy, numeric, public.cost_tracking) IS
'Escalates the caps that the total (settled and held) has reached, and once a day each: settled spend above the limit
(critical), and spend that is above it together with the open holds (warning).';
