-- Views run their functions with the reader's rights: of the internal ones a reader may call this and _window alone.
CREATE OR REPLACE FUNCTION budget._reading()
RETURNS TABLE (
    now timestamptz,
    day date,
    starts_at timestamptz,
    ends_at timestamptz,
    timezone text,
    daily_soft_cap numeric,
    daily_hard_cap numeric,
    emergency_kill numeric,
    on_expiry text,
    frozen boolean,
    frozen_reason text,
    unknown_keys text[],
    config_error text
)
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_config budget._config := budget._read_config();
BEGIN
    PERFORM FROM public.cost_tracking LIMIT 0; -- where row security hides rows from us: an error, not a partial sum
    now := budget._now();
    timezone := v_config.timezone;
    SELECT w.day, w.starts_at, w.ends_at INTO day, starts_at, ends_at FROM budget._window(now, timezone) AS w;
    daily_soft_cap := v_config.daily_soft_cap;
    daily_hard_cap := v_config.daily_hard_cap;
    emergency_kill := v_config.emergency_kill;
    on_expiry := v_config.on_expiry;
    SELECT f.frozen, f.reason INTO frozen, frozen_reason FROM budget._freeze_state() AS f;
    config_error := v_config.error;
    IF config_error IS NULL THEN
        unknown_keys := ARRAY(
            SELECT k.key
            FROM public.system_config AS c, jsonb_object_keys(c.value::jsonb) AS k (key)
            WHERE
                c.key = 'budget_limits'
                AND k.key NOT IN (
                    'daily_soft_cap', 'daily_hard_cap', 'emergency_kill',
                    'timezone', 'reservation_ttl', 'on_expiry', 'exempt_services'
                )
            ORDER BY k.key
        );
    END IF;
    RETURN NEXT;
END
$function$;

REVOKE ALL ON FUNCTION budget._reading() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._reading() TO budget_reader;
COMMENT ON FUNCTION budget._reading() IS 'The clock, the window and the configuration that the views share.';
