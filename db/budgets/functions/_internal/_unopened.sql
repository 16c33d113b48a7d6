-- Who was not there when the balances were computed had no rows, and what came since is posted: a member that comes new
-- into a long window is not looked for in all of it.
CREATE OR REPLACE FUNCTION budget._unopened(
    p_budget text,
    p_dimension text,
    p_member text,
    p_starts_at timestamptz,
    p_ends_at timestamptz
)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_ends_at > (SELECT b.counted_from FROM budget.budgets AS b WHERE b.name = p_budget) THEN
        RETURN budget._posted(p_budget, p_member, p_starts_at);
    END IF;
    RETURN budget._ledger_sum(p_dimension, p_member, p_starts_at, p_ends_at);
END
$function$;

REVOKE ALL ON FUNCTION budget._unopened(text, text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._unopened(text, text, text, timestamptz, timestamptz) IS
'What the ledger rows of a member come to in a window whose balance nobody has opened, or that was pruned.';
