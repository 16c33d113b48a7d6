CREATE OR REPLACE FUNCTION budget._insert_posting(p_match budget._match, p_amount numeric)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO budget.postings (budget, member, starts_at, ends_at, slot, amount)
    VALUES (p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, p_match.slot, p_amount);
END
$function$;

REVOKE ALL ON FUNCTION budget._insert_posting(budget._match, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._insert_posting(budget._match, numeric) IS
'Posts an amount to a balance, under the slot of this session.';
