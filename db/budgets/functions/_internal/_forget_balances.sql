-- An empty ledger has empty windows. And the days of another zone are other windows: a balance that was left behind when
-- the zone changed would be taken for whole when it is set back. What is forgotten is opened from the ledger again.
CREATE OR REPLACE FUNCTION budget._forget_balances()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_old text;
    v_new text;
    v_lock_timeout text;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        v_old := CASE OLD.key WHEN 'budget_limits' THEN OLD.value END;
        v_new := CASE NEW.key WHEN 'budget_limits' THEN NEW.value END;
        IF (budget._parse_config(v_old)).timezone = (budget._parse_config(v_new)).timezone THEN
            RETURN NULL;
        END IF;
    END IF;
    v_lock_timeout := budget._begin_decision();
    PERFORM budget._lock_ledger();
    DELETE FROM budget.balances;
    DELETE FROM budget.postings;
    -- A writer whose snapshot is older than the change meets it here, and repeats (budget._post).
    UPDATE budget.budgets AS b SET slots = b.slots WHERE b.name = 'daily';
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._forget_balances() FROM PUBLIC;
COMMENT ON FUNCTION budget._forget_balances() IS
'Trigger on TRUNCATE of the ledger, and on the configuration for when its time zone changes. Errors: PB001 not READ
COMMITTED; 55P03 lock wait.';
