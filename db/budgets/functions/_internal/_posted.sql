CREATE OR REPLACE FUNCTION budget._posted(p_budget text, p_member text, p_starts_at timestamptz)
RETURNS numeric
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coalesce(
        (
            SELECT sum(o.amount)
            FROM budget.postings AS o
            WHERE o.budget = p_budget AND o.member = p_member AND o.starts_at = p_starts_at
        ),
        0
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._posted(text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._posted(text, text, timestamptz) IS
'The sum of the postings to a balance that are not folded into it yet.';
