-- Whoever owns the ledger could always do with its rows what he liked. So the functions run with his rights, whoever
-- migrates, and triggers of his own on it gain nothing. Where there is no ledger yet, it will be the migrating role's.
CREATE OR REPLACE FUNCTION budget._ledger_owner()
RETURNS oid
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coalesce(
        (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass('public.cost_tracking')),
        (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._ledger_owner() FROM PUBLIC;
COMMENT ON FUNCTION budget._ledger_owner() IS 'The role to which the ledger and all of pgbudget belong.';
