-- Judged by state, as the day's caps are. Of the rest it is told when they are written next: one statement may write
-- for thousands, and each that is told takes a lock.
CREATE OR REPLACE FUNCTION budget._escalate_thresholds(p_postings budget.postings[], p_now timestamptz)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_most CONSTANT integer := 100;
    v_day date := (budget._day(p_now, (budget._policy_in_force()).timezone)).day;
    v_reached record;
    v_total numeric;
BEGIN
    FOR v_reached IN
        SELECT
            b.name AS budget, p.member, p.starts_at, t.amount, t.severity, l.limit_now, c.total, s.subject,
            ROW(b.name, b.dimension, p.member, p.starts_at, p.ends_at, l.limit_now, c.total, NULL, true, 1, 0, 0)::budget._standing
                AS standing
        FROM unnest(p_postings) AS p
        INNER JOIN budget.budgets AS b ON p.budget = b.name
        CROSS JOIN LATERAL budget._limit_in_force(b.limit_amount, b.extra, b.extra_until, p_now) AS l (limit_now)
        CROSS JOIN LATERAL (
            SELECT u.amount, 'warning' AS severity FROM unnest(b.soft_limits) AS u (amount)
            UNION ALL
            SELECT l.limit_now, 'critical'
        ) AS t
        CROSS JOIN LATERAL budget._booked(
            b.name, b.dimension, p.member, p.starts_at, p.ends_at, p.ends_at > b.counted_from, 0
        ) AS c
        CROSS JOIN LATERAL (SELECT ARRAY[b.name, p.member, trim_scale(t.amount)::text] AS subject) AS s
        WHERE
            b.name <> 'daily'
            AND t.amount <= c.total
            AND NOT EXISTS (
                SELECT
                FROM public.escalations AS e
                WHERE
                    e.id = budget._escalation_id(
                        'budget_threshold', coalesce(budget._iso(p.starts_at), 'ever'), b.name, s.subject, NULL
                    )
            )
        ORDER BY b.name, p.member, p.starts_at, t.amount
        LIMIT c_most
    LOOP
        -- Lapsed holds are looked for only where it may make a difference.
        v_total := v_reached.total - CASE
            WHEN (budget._policy_in_force()).on_expiry = 'release' THEN budget._holds_expiring(v_reached.standing, '-infinity', p_now)
            ELSE 0
        END;
        CONTINUE WHEN v_reached.amount > v_total;
        PERFORM budget._escalate_once(
            'budget_threshold',
            coalesce(budget._iso(v_reached.starts_at), 'ever'),
            v_reached.budget,
            v_reached.subject,
            v_reached.severity,
            format(
                'Budget %s, member %s, has reached %s: settled and held %s, limit %s.',
                v_reached.budget, v_reached.member, v_reached.amount, v_total, v_reached.limit_now
            ),
            jsonb_build_object(
                'day', v_day,
                'starts_at', budget._iso(v_reached.starts_at),
                'budget', v_reached.budget,
                'member', v_reached.member,
                'threshold', v_reached.amount::text,
                'current_total', v_total::text,
                'limit_amount', v_reached.limit_now::text
            ),
            NULL,
            NULL
        );
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._escalate_thresholds(budget.postings[], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._escalate_thresholds(budget.postings[], timestamptz) IS
'One escalation per threshold and window for each balance that was posted to and is at or above it; at most 100 in a
call.';
