CREATE OR REPLACE FUNCTION budget.set_budget(
    p_name text,
    p_limit numeric,
    p_dimension text DEFAULT '*',
    p_member text DEFAULT NULL,
    p_period text DEFAULT 'day',
    p_timezone text DEFAULT NULL,
    p_soft_limits numeric[] DEFAULT '{}',
    p_enforcement text DEFAULT 'block',
    p_active boolean DEFAULT true,
    p_slots integer DEFAULT 1,
    p_extra numeric DEFAULT NULL,
    p_until timestamptz DEFAULT NULL
)
RETURNS SETOF budget.budgets
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_config budget._config;
    v_limit numeric := CASE WHEN p_name IS DISTINCT FROM 'daily' THEN budget._money(p_limit, 'p_limit') END;
    v_extra numeric := CASE WHEN p_extra IS NOT NULL THEN budget._money(p_extra, 'p_extra') END;
    v_lock_timeout text;
    v_old jsonb;
    v_budget budget.budgets;
    v_fault text := CASE
        WHEN p_name IS NULL OR p_name = '' OR char_length(p_name) > 100 THEN 'p_name must have 1 to 100 characters'
        WHEN p_name = 'daily' AND (
            num_nonnulls(p_limit, p_member, p_timezone, p_extra, p_until) > 0
            OR (p_dimension, p_period, p_soft_limits, p_enforcement, p_active)
                IS DISTINCT FROM ('*', 'day', '{}'::numeric[], 'block', true)
        )
            THEN 'of the budget daily this sets the slots alone (p_limit is null); budget.set_limits sets its limit'
        WHEN p_dimension IS NULL OR p_dimension = '' OR char_length(p_dimension) > 100
            THEN 'p_dimension must be *, service or a key of the metadata'
        WHEN char_length(p_member) NOT BETWEEN 1 AND 200 THEN 'p_member must have 1 to 200 characters'
        WHEN p_dimension = '*' AND p_member IS NOT NULL THEN 'the dimension * has no members'
        WHEN p_period IS NULL OR p_period NOT IN ('minute', 'hour', 'day', 'week', 'month', 'total')
            THEN 'p_period must be minute, hour, day, week, month or total'
        WHEN p_enforcement IS NULL OR p_enforcement NOT IN ('block', 'warn') THEN 'p_enforcement must be block or warn'
        WHEN p_active IS NULL THEN 'p_active must be true or false'
        WHEN p_slots IS NULL OR p_slots NOT BETWEEN 1 AND 64 THEN 'p_slots must be between 1 and 64'
        WHEN (p_extra IS NULL) <> (p_until IS NULL) THEN 'a temporary raise has both p_extra and p_until'
        WHEN NOT isfinite(p_until) THEN 'p_until must be an instant: a raise that never ends is a limit'
        WHEN p_timezone IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = p_timezone)
            THEN format('the server knows no time zone named %s', p_timezone)
    END;
BEGIN
    IF v_fault IS NOT NULL THEN
        RAISE EXCEPTION 'this budget cannot be set: %', v_fault
            USING ERRCODE = '22023',
            DETAIL = format('Budget %s.', coalesce(p_name, 'null')),
            HINT = 'Nothing was changed. budget.set_budget tells its arguments in its comment.';
    END IF;
    PERFORM budget._money(s.amount, 'p_soft_limits') FROM unnest(p_soft_limits) AS s (amount);

    v_lock_timeout := budget._begin_decision();
    PERFORM budget._lock_ledger();
    v_config := budget._require_config(); -- nobody changes the zone from here on
    SELECT to_jsonb(b) INTO v_old FROM budget.budgets AS b WHERE b.name = p_name;
    INSERT INTO budget.budgets AS b (
        name, dimension, member, period, limit_amount, timezone, soft_limits, enforcement, is_active, slots, extra,
        extra_until
    )
    VALUES (
        p_name,
        p_dimension,
        CASE WHEN p_dimension = '*' THEN '*' ELSE p_member END,
        p_period,
        v_limit,
        CASE WHEN p_timezone IS NOT NULL THEN budget._zone(p_timezone) END,
        coalesce(p_soft_limits, '{}'),
        p_enforcement,
        p_active,
        p_slots,
        v_extra,
        p_until
    )
    ON CONFLICT (name) DO UPDATE SET
        dimension = excluded.dimension,
        member = excluded.member,
        period = excluded.period,
        limit_amount = excluded.limit_amount,
        timezone = excluded.timezone,
        soft_limits = excluded.soft_limits,
        enforcement = excluded.enforcement,
        is_active = excluded.is_active,
        slots = excluded.slots,
        extra = excluded.extra,
        extra_until = excluded.extra_until;
    PERFORM budget._touch();
    PERFORM budget._rebuild(v_config, p_name);
    SELECT b.* INTO v_budget FROM budget.budgets AS b WHERE b.name = p_name;
    PERFORM budget._note_change(
        'budget_changed', format('Budget %s was set.', p_name), v_old::text, to_jsonb(v_budget)::text
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT v_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamptz
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamptz
) TO budget_admin;
COMMENT ON FUNCTION budget.set_budget(
    text, numeric, text, text, text, text, numeric[], text, boolean, integer, numeric, timestamptz
) IS
'Creates a budget or replaces it as a whole. One row: the budget.

p_name         1 to 100 characters; daily is core''s own: p_slots alone can be set, with p_limit null
p_limit        what settled spend and open holds of a window may come to by reserving, in the currency of the limits
p_dimension    whom it limits: * everybody together, service, or a top-level key of the metadata such as team
p_member       the one service, team, ... it limits; NULL: each of them has this limit for itself
p_period       minute, hour, day, week (from Monday), month or total
p_timezone     of days, weeks and months, a name of pg_timezone_names; NULL: that of the limits
p_soft_limits  amounts at which it escalates
p_enforcement  block refuses what does not fit; warn only escalates
p_active       an inactive budget refuses nothing and counts nothing
p_slots        1 to 64: over how many rows its room is spread, for a budget that many sessions reserve from at once;
               1 is exact to the row, more make the verdict''s current_total a committed reading
p_extra        a temporary raise of the limit, until p_until; it ends by itself
p_until        when the raise ends; one that is past raises nothing

The balance of the window that runs is computed from the ledger. The old and the new budget are kept in an escalation
of severity info.
Errors: 22023, 22003 bad argument; PB001 not READ COMMITTED; PB005 broken configuration; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction: all its writers wait while the sum is taken.';
