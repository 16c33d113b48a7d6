CREATE OR REPLACE FUNCTION budget._policy_in_force()
RETURNS budget._policy
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_value text;
    v_frozen boolean;
    v_policy budget._policy;
BEGIN
    -- The row's presence freezes, whatever it holds: a damaged kill switch stays on.
    SELECT
        (SELECT c.value FROM public.system_config AS c WHERE c.key = 'budget_limits'),
        EXISTS (SELECT FROM public.system_config AS c WHERE c.key = 'budget_freeze')
    INTO v_value, v_frozen;
    v_policy := budget._parse_policy(v_value);
    v_policy.frozen := v_frozen;
    RETURN v_policy;
END
$function$;

REVOKE ALL ON FUNCTION budget._policy_in_force() FROM PUBLIC;
COMMENT ON FUNCTION budget._policy_in_force() IS
'The limits and the freeze as they stand in system_config now. Never fails.';
