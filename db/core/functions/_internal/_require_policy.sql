-- Fail closed: whoever decides about money needs limits that hold.
CREATE OR REPLACE FUNCTION budget._require_policy(p_policy budget._policy)
RETURNS budget._policy
LANGUAGE sql
STABLE
AS $function$
    SELECT CASE WHEN (p_policy).error IS NULL THEN p_policy ELSE budget._refuse_policy((p_policy).error) END
$function$;

REVOKE ALL ON FUNCTION budget._require_policy(budget._policy) FROM PUBLIC;
COMMENT ON FUNCTION budget._require_policy(budget._policy) IS 'The same policy. Errors: PB005 where it is broken.';
