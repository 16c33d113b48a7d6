-- A hold that has lapsed counts nowhere, marked or not. Mostly there is none that is not marked yet.
CREATE OR REPLACE FUNCTION budget._balance(
    p_config budget._config,
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_now timestamptz
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_amount numeric := budget._booked(p_budget, p_dimension, p_member, p_starts_at, p_ends_at);
BEGIN
    -- The oldest alone is found by the index, whatever the planner knows of the ledger.
    IF p_config.on_expiry = 'release'
        AND (SELECT min(l.expires_at) FROM public.cost_tracking AS l WHERE l.expires_at <= p_now) IS NOT NULL
    THEN
        v_amount := v_amount - budget._lapsed(p_dimension, p_member, p_starts_at, p_ends_at, p_now);
    END IF;
    RETURN v_amount;
END
$function$;

REVOKE ALL ON FUNCTION budget._balance(
    budget._config, text, text, text, timestamptz, timestamptz, timestamptz
) FROM PUBLIC;
COMMENT ON FUNCTION budget._balance(budget._config, text, text, text, timestamptz, timestamptz, timestamptz) IS
'What is spent and held of a member''s window at an instant.';
