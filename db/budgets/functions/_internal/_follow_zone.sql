-- A balance knows its window by where it starts. In another zone the same days start elsewhere, and what is written from
-- then on goes to those: the old balances would stand still, and be wrong should the old zone come back.
CREATE OR REPLACE FUNCTION budget._follow_zone()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_before budget._config := budget._parse_config(CASE WHEN TG_OP <> 'INSERT' THEN OLD.value::text END);
    v_after budget._config := budget._parse_config(CASE WHEN TG_OP <> 'DELETE' THEN NEW.value::text END);
    v_lock_timeout text;
BEGIN
    IF v_before.timezone IS DISTINCT FROM v_after.timezone THEN
        v_lock_timeout := budget._begin_write();
        PERFORM budget._lock_ledger();
        DELETE FROM budget.balances AS a
        USING budget.budgets AS b
        WHERE b.name = a.budget AND b.timezone IS NULL AND b.period IN ('day', 'week', 'month');
        DELETE FROM budget.postings AS o
        USING budget.budgets AS b
        WHERE b.name = o.budget AND b.timezone IS NULL AND b.period IN ('day', 'week', 'month');
        PERFORM budget._touch();
        PERFORM budget._end_write(v_lock_timeout);
    END IF;
    RETURN NULL;
END
$function$;

REVOKE ALL ON FUNCTION budget._follow_zone() FROM PUBLIC;
COMMENT ON FUNCTION budget._follow_zone() IS
'Trigger on system_config: where the time zone of the limits changes, the balances of days, weeks and months that follow
it are forgotten, and opened again from the ledger by the next decision.';
