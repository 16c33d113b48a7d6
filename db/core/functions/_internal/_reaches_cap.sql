-- least() passes over the caps that are absent.
CREATE OR REPLACE FUNCTION budget._reaches_cap(p_policy budget._policy, p_total numeric)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT p_total >= least((p_policy).daily_soft_cap, (p_policy).daily_hard_cap, (p_policy).emergency_kill)
$function$;

REVOKE ALL ON FUNCTION budget._reaches_cap(budget._policy, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._reaches_cap(budget._policy, numeric) IS
'Is a day with this total (settled and held) at or above one of its caps?';
