-- The defaults of the keys that have one stand here and nowhere else. A value that breaks a rule leaves them in place
-- and says so in error: whoever decides must refuse then, whoever only records can go on (UTC day, no limit known).
CREATE OR REPLACE FUNCTION budget._parse_config(p_value text)
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_default budget._config := ROW(
        NULL, NULL, NULL, 'UTC', '1 hour', 'release', ARRAY['architect'], NULL, NULL
    )::budget._config;
    v_config budget._config;
    v_limits jsonb;
    v_cap text;
BEGIN
    IF p_value IS NULL THEN
        RAISE EXCEPTION 'system_config has no row with the key budget_limits' USING ERRCODE = 'PB005';
    END IF;
    v_limits := p_value;
    IF jsonb_typeof(v_limits) <> 'object' THEN
        RAISE EXCEPTION 'budget_limits must be a JSON object' USING ERRCODE = 'PB005';
    END IF;
    IF NOT v_limits ? 'emergency_kill' THEN
        RAISE EXCEPTION 'emergency_kill is missing' USING ERRCODE = 'PB005';
    END IF;
    FOREACH v_cap IN ARRAY ARRAY['daily_soft_cap', 'daily_hard_cap', 'emergency_kill'] LOOP
        IF v_limits -> v_cap @@ '$.type() != "number" || $ < 0 || $ >= 1e15' THEN
            RAISE EXCEPTION '% must be a number of at least 0 and below 1e15, not %', v_cap, v_limits -> v_cap
                USING ERRCODE = 'PB005';
        END IF;
    END LOOP;
    IF jsonb_typeof(v_limits -> 'reservation_ttl') <> 'string' THEN
        RAISE EXCEPTION 'reservation_ttl must be text such as "1 hour"' USING ERRCODE = 'PB005';
    END IF;
    IF v_limits -> 'on_expiry' NOT IN ('"release"', '"keep"') THEN
        RAISE EXCEPTION 'on_expiry must be "release" or "keep"' USING ERRCODE = 'PB005';
    END IF;
    IF v_limits @@ '$.exempt_services.type() != "array" || $.exempt_services[*].type() != "string"' THEN
        RAISE EXCEPTION 'exempt_services must be an array of service names' USING ERRCODE = 'PB005';
    END IF;

    -- Keys that are absent keep their default. A key named like a field that is no limit is one that we do not know.
    v_config := jsonb_populate_record(v_default, v_limits - 'frozen');
    v_config.error := NULL;
    IF v_config.daily_soft_cap > coalesce(v_config.daily_hard_cap, v_config.emergency_kill)
        OR v_config.daily_hard_cap > v_config.emergency_kill
    THEN
        RAISE EXCEPTION 'the limits must be ordered: daily_soft_cap <= daily_hard_cap <= emergency_kill'
            USING ERRCODE = 'PB005';
    END IF;
    v_config.timezone := budget._zone(v_config.timezone);
    v_config.reservation_ttl := budget._ttl(v_config.reservation_ttl);
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
