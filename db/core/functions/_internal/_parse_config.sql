-- The defaults of the keys that have one stand here and nowhere else. A value that breaks a rule leaves them in place
-- and says so in error: whoever decides must refuse then, whoever only records can go on (UTC day, no limit known).
CREATE OR REPLACE FUNCTION budget._parse_config(p_limits jsonb)
RETURNS budget._config
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_default budget._config;
    v_config budget._config;
BEGIN
    v_default.timezone := 'UTC';
    v_default.reservation_ttl := '1 hour';
    v_default.on_expiry := 'release';
    v_default.exempt_services := ARRAY['architect'];
    v_config := v_default;

    IF jsonb_typeof(p_limits) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'budget_limits must be a JSON object' USING ERRCODE = 'PB005';
    END IF;
    IF NOT p_limits ? 'emergency_kill' THEN
        RAISE EXCEPTION 'emergency_kill is missing' USING ERRCODE = 'PB005';
    END IF;
    v_config.daily_soft_cap := budget._cap(p_limits, 'daily_soft_cap');
    v_config.daily_hard_cap := budget._cap(p_limits, 'daily_hard_cap');
    v_config.emergency_kill := budget._cap(p_limits, 'emergency_kill');
    IF coalesce(v_config.daily_soft_cap, 0) > coalesce(v_config.daily_hard_cap, v_config.emergency_kill)
        OR coalesce(v_config.daily_hard_cap, 0) > v_config.emergency_kill
    THEN
        RAISE EXCEPTION 'the limits must be ordered: daily_soft_cap <= daily_hard_cap <= emergency_kill'
            USING ERRCODE = 'PB005';
    END IF;
    IF p_limits ? 'timezone' THEN
        v_config.timezone := budget._zone(p_limits -> 'timezone');
    END IF;
    IF p_limits ? 'reservation_ttl' THEN
        IF jsonb_typeof(p_limits -> 'reservation_ttl') <> 'string' THEN
            RAISE EXCEPTION 'reservation_ttl must be text such as "1 hour"' USING ERRCODE = 'PB005';
        END IF;
        v_config.reservation_ttl := budget._ttl((p_limits ->> 'reservation_ttl')::interval);
    END IF;
    IF p_limits ? 'on_expiry' THEN
        IF p_limits -> 'on_expiry' NOT IN ('"release"', '"keep"') THEN
            RAISE EXCEPTION 'on_expiry must be "release" or "keep"' USING ERRCODE = 'PB005';
        END IF;
        v_config.on_expiry := p_limits ->> 'on_expiry';
    END IF;
    IF p_limits ? 'exempt_services' THEN
        IF jsonb_typeof(p_limits -> 'exempt_services') <> 'array'
            OR jsonb_path_exists(p_limits, 'strict $.exempt_services[*] ? (@.type() != "string")')
        THEN
            RAISE EXCEPTION 'exempt_services must be an array of service names' USING ERRCODE = 'PB005';
        END IF;
        v_config.exempt_services := ARRAY(SELECT jsonb_array_elements_text(p_limits -> 'exempt_services'));
    END IF;
    RETURN v_config;
EXCEPTION
    WHEN SQLSTATE 'PB005' OR data_exception THEN
        v_default.error := SQLERRM;
        RETURN v_default;
END
$function$;

REVOKE ALL ON FUNCTION budget._parse_config(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._parse_config(jsonb) IS
'The limits as a record. error is NULL when every rule of the configuration holds, else it names the first broken one.';
