CREATE OR REPLACE FUNCTION budget._settlement(p_policy budget._policy, p_total numeric, p_metadata jsonb)
RETURNS jsonb
LANGUAGE sql
STABLE
AS $function$
    SELECT p_metadata || jsonb_build_object('type', 'actual', 'over_limit', budget._over_limit(p_policy, p_total))
$function$;

REVOKE ALL ON FUNCTION budget._settlement(budget._policy, numeric, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION budget._settlement(budget._policy, numeric, jsonb) IS
'What settling adds to a hold''s metadata: what it was settled with, and whether this left its day (p_total) over the
limit.';
