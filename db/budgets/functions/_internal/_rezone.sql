-- Days, weeks and months that follow the zone of the limits have other bounds from here on, and what was posted under
-- one zone is missing from the windows of another. Whoever writes the ledger waits: its postings are in one zone.
CREATE OR REPLACE FUNCTION budget._rezone()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_old text := CASE WHEN TG_OP <> 'INSERT' AND OLD.key = 'budget_limits' THEN OLD.value::text END;
    v_new text := CASE WHEN TG_OP <> 'DELETE' AND NEW.key = 'budget_limits' THEN NEW.value::text END;
    v_lock_timeout text;
BEGIN
    IF (budget._parse_config(v_old)).timezone = (budget._parse_config(v_new)).timezone THEN
        RETURN NULL;
    END IF;
    v_lock_timeout := budget._begin_decision();
    PERFORM budget._lock_ledger();
    PERFORM budget._touch();
    PERFORM budget._rebuild(budget._read_config(), b.name)
    FROM budget.budgets AS b
    WHERE b.timezone IS NULL AND b.period IN ('day', 'week', 'month');
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._rezone() FROM PUBLIC;
COMMENT ON FUNCTION budget._rezone() IS
'Trigger on system_config: when the zone of the limits changes, the balances of its days, weeks and months are computed
anew. Locks then: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction. Errors: PB001 at any level but READ
COMMITTED, where the ledger would be summed as it was; 55P03.';
