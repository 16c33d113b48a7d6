-- Triggers of the application's run between a statement of ours and the ledger. Keys that they add to the metadata are
-- theirs.
CREATE OR REPLACE FUNCTION budget._is_kept(p_asked public.cost_tracking, p_row public.cost_tracking)
RETURNS boolean
LANGUAGE sql
STABLE
AS $function$
    SELECT (
        (p_row).id = (p_asked).id
        AND (p_row).service_name = (p_asked).service_name
        AND (p_row).cost = (p_asked).cost
        AND (p_row).created_at = (p_asked).created_at
        AND (p_row).expires_at IS NOT DISTINCT FROM (p_asked).expires_at
        AND (p_row).metadata || (p_asked).metadata = (p_row).metadata
    ) IS TRUE
$function$;

REVOKE ALL ON FUNCTION budget._is_kept(public.cost_tracking, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._is_kept(public.cost_tracking, public.cost_tracking) IS
'Did the ledger keep the row as it was asked to write it?';
