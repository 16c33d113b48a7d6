CREATE OR REPLACE FUNCTION budget._counted(p_policy budget._policy, p_now timestamptz, p_row public.cost_tracking)
RETURNS numeric
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT CASE
        WHEN (p_row).expires_at <= p_now AND (p_policy).on_expiry = 'release' THEN 0
        ELSE coalesce((p_row).cost, 0)
    END
$function$;

REVOKE ALL ON FUNCTION budget._counted(budget._policy, timestamptz, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._counted(budget._policy, timestamptz, public.cost_tracking) IS
'What a ledger row counts in its window at this instant; 0 for no row.';
