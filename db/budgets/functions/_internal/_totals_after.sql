-- As budget._total_after for one: only a spend of more than its hold counts is asked what it makes of its day.
CREATE OR REPLACE FUNCTION budget._totals_after(
    p_config budget._config,
    p_ids uuid[],
    p_actuals numeric[],
    p_open integer[],
    p_now timestamptz
)
RETURNS TABLE (n integer, total numeric)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_config.error IS NOT NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH spends AS (
        SELECT o.n, w.starts_at, w.ends_at, p_actuals[o.n] - budget._counted(p_config, p_now, l) AS more
        FROM unnest(p_open) AS o (n)
        INNER JOIN public.cost_tracking AS l ON p_ids[o.n] = l.id
        CROSS JOIN LATERAL budget._period('day', l.created_at, p_config.timezone) AS w
    ),

    days AS (
        SELECT
            s.starts_at,
            sum(s.more) + budget._balance(p_config, 'daily', '*', '*', s.starts_at, s.ends_at, p_now) AS total
        FROM spends AS s
        GROUP BY s.starts_at, s.ends_at
        HAVING bool_or(s.more > 0)
    )

    SELECT s.n, d.total
    FROM spends AS s
    INNER JOIN days AS d ON s.starts_at = d.starts_at
    WHERE s.more > 0;
END
$function$;

REVOKE ALL ON FUNCTION budget._totals_after(budget._config, uuid[], numeric[], integer[], timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._totals_after(budget._config, uuid[], numeric[], integer[], timestamptz) IS
'The total of its day once the whole batch is booked, for each settlement of p_open that is more than its hold counts.';
