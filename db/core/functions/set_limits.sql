CREATE OR REPLACE FUNCTION budget.set_limits(p_limits jsonb)
RETURNS TABLE (
    daily_soft_cap numeric,
    daily_hard_cap numeric,
    emergency_kill numeric,
    timezone text,
    reservation_ttl interval,
    on_expiry text,
    exempt_services text[]
)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_given jsonb := budget._metadata(p_limits, 'p_limits');
    v_lock_timeout text := budget._begin_write();
    v_old text;
    v_new jsonb;
    v_error text;
BEGIN
    -- Two changes at once must not each lose the other's keys: the later one waits here, whether the row is there or not.
    PERFORM pg_advisory_xact_lock(hashtextextended('pgbudget/budget_limits', 0));
    SELECT c.value INTO v_old FROM public.system_config AS c WHERE c.key = 'budget_limits' FOR UPDATE;

    v_new := CASE WHEN (budget._read_config()).error IS NULL THEN v_old::jsonb ELSE '{}' END || v_given;
    v_error := (budget._parse_config(v_new::text)).error;
    IF v_error IS NULL AND v_given ? 'timezone'
        AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = v_given ->> 'timezone')
    THEN
        v_error := format('the server knows no time zone named %s', v_given ->> 'timezone');
    END IF;
    IF v_error IS NOT NULL THEN
        RAISE EXCEPTION 'these limits cannot be set: %', v_error
            USING ERRCODE = 'PB005',
            DETAIL = format('The whole would be %s.', v_new),
            HINT = 'Give all keys that belong together in one call. Nothing was changed.';
    END IF;

    INSERT INTO public.system_config AS c (key, value, description)
    VALUES ('budget_limits', v_new::text, 'Limits of the budget, in force at once; change them with budget.set_limits')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = budget._now();
    PERFORM budget._note_change('budget_limits_changed', 'The budget limits were changed.', v_old, v_new::text);
    PERFORM budget._end_write(v_lock_timeout);
    RETURN QUERY SELECT l.* FROM budget.limits() AS l;
END
$function$;

REVOKE ALL ON FUNCTION budget.set_limits(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.set_limits(jsonb) TO budget_admin;
COMMENT ON FUNCTION budget.set_limits(jsonb) IS
'Replaces the given keys of the limits and checks the whole. One row: the limits in force.

p_limits  a JSON object with any of daily_soft_cap, daily_hard_cap, emergency_kill (numbers, in one currency),
          timezone (a name of pg_timezone_names), reservation_ttl (text such as "1 hour", at most 24 hours),
          on_expiry ("release" or "keep"), exempt_services (an array of names); keys it does not know are kept too

Keys that are not given stay; over a broken configuration it starts from {}. The old and the new value are kept in an
escalation of severity info. Decisions that take their lock after the commit see the new limits.
Errors: 22023 not an object; PB005 the whole would be broken; 55P03 lock wait.
Locks: the configuration''s row, until the end of the transaction.';
