-- The defaults of the keys that have one stand here and nowhere else. A value that breaks a rule leaves them in place
-- and says so in error: whoever decides must refuse then, whoever only records can go on (UTC day, no limit known).
-- Every reservation comes through here, and PL/pgSQL makes each expression ready anew in each transaction: few wide
-- expressions are cheaper than many small ones.
CREATE OR REPLACE FUNCTION budget._parse_config(p_value text)
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_default budget._config := ROW(
        NULL, NULL, NULL, 'UTC', interval '1 hour', 'release', jsonb '["architect"]', NULL, NULL
    )::budget._config;
    v_config budget._config;
    v_limits jsonb;
BEGIN
    v_limits := p_value::jsonb;
    v_default.error := CASE
        WHEN v_limits IS NULL THEN 'system_config has no row with the key budget_limits'
        WHEN jsonb_typeof(v_limits) <> 'object' THEN 'budget_limits must be a JSON object'
        WHEN NOT v_limits ? 'emergency_kill' THEN 'emergency_kill is missing'
        WHEN jsonb_typeof(v_limits -> 'daily_soft_cap') <> 'number' THEN 'daily_soft_cap must be a number'
        WHEN jsonb_typeof(v_limits -> 'daily_hard_cap') <> 'number' THEN 'daily_hard_cap must be a number'
        WHEN jsonb_typeof(v_limits -> 'emergency_kill') <> 'number' THEN 'emergency_kill must be a number'
        WHEN jsonb_typeof(v_limits -> 'timezone') <> 'string' THEN 'timezone must be the full name of a time zone'
        WHEN jsonb_typeof(v_limits -> 'reservation_ttl') <> 'string' THEN 'reservation_ttl must be text such as "1 hour"'
        WHEN v_limits -> 'on_expiry' NOT IN ('"release"', '"keep"') THEN 'on_expiry must be "release" or "keep"'
        WHEN v_limits @@ '$.exempt_services.type() != "array" || $.exempt_services[*].type() != "string"'
            THEN 'exempt_services must be an array of service names'
    END;
    IF v_default.error IS NOT NULL THEN
        RETURN v_default;
    END IF;
    v_config := ROW(
        (v_limits ->> 'daily_soft_cap')::numeric,
        (v_limits ->> 'daily_hard_cap')::numeric,
        (v_limits ->> 'emergency_kill')::numeric,
        budget._zone(coalesce(v_limits ->> 'timezone', v_default.timezone)),
        budget._ttl(coalesce((v_limits ->> 'reservation_ttl')::interval, v_default.reservation_ttl)),
        coalesce(v_limits ->> 'on_expiry', v_default.on_expiry),
        coalesce(v_limits -> 'exempt_services', v_default.exempt_services),
        NULL,
        NULL
    )::budget._config;
    v_default.error := CASE
        WHEN least(v_config.daily_soft_cap, v_config.daily_hard_cap, v_config.emergency_kill) < 0
            OR greatest(v_config.daily_soft_cap, v_config.daily_hard_cap, v_config.emergency_kill) >= 1e15
            THEN 'a limit must be at least 0 and below 1e15'
        WHEN v_config.daily_soft_cap > coalesce(v_config.daily_hard_cap, v_config.emergency_kill)
            OR v_config.daily_hard_cap > v_config.emergency_kill
            THEN 'the limits must be ordered: daily_soft_cap <= daily_hard_cap <= emergency_kill'
    END;
    IF v_default.error IS NOT NULL THEN
        RETURN v_default;
    END IF;
    RETURN v_config;
EXCEPTION
    WHEN SQLSTATE 'PB005' OR data_exception THEN
        v_default.error := SQLERRM;
        RETURN v_default;
END
$function$;

REVOKE ALL ON FUNCTION budget._parse_config(text) FROM PUBLIC;
COMMENT ON FUNCTION budget._parse_config(text) IS
'The value of the row budget_limits as a record. error is NULL when every rule of the configuration holds, else it names
the first broken one.';
