CREATE OR REPLACE FUNCTION budget.drop_budget(p_name text)
RETURNS SETOF budget.budgets
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_lock_timeout text := budget._begin_decision();
    v_budget budget.budgets;
BEGIN
    PERFORM budget._lock_ledger();
    DELETE FROM budget.budgets AS b WHERE b.name = p_name AND b.name <> 'daily' RETURNING b.* INTO v_budget;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no budget named % to drop', coalesce(p_name, 'null')
            USING ERRCODE = '22023',
            DETAIL = 'budget.budgets has no such row, or it is the budget daily, which always is.',
            HINT = 'SELECT name FROM budget.budget_status lists them.';
    END IF;
    DELETE FROM budget.postings AS o WHERE o.budget = p_name;
    PERFORM budget._touch();
    PERFORM budget._note_change(
        'budget_dropped', format('Budget %s was dropped.', p_name), to_jsonb(v_budget)::text, NULL
    );
    PERFORM budget._end_write(v_lock_timeout);
    RETURN NEXT v_budget;
END
$function$;

REVOKE ALL ON FUNCTION budget.drop_budget(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.drop_budget(text) TO budget_admin;
COMMENT ON FUNCTION budget.drop_budget(text) IS
'Removes a budget and its balances; no ledger row is touched. One row: what it was.

p_name  any budget but daily

Errors: 22023 no such budget; PB001 not READ COMMITTED; 55P03 lock wait.
Locks: SHARE ROW EXCLUSIVE on the ledger until the end of the transaction.';
