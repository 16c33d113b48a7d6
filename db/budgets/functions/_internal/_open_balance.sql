-- The ledger and its postings are read in one snapshot: a row and its posting are committed together, seen together,
-- and counted once.
CREATE OR REPLACE FUNCTION budget._open_balance(p_match budget._match)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN budget._insert_balance(
        p_match.budget, p_match.member, p_match.starts_at, p_match.ends_at, p_match.slots,
        budget._unopened(p_match.budget, p_match.dimension, p_match.member, p_match.starts_at, p_match.ends_at)
        - budget._posted(p_match.budget, p_match.member, p_match.starts_at)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._open_balance(budget._match) FROM PUBLIC;
COMMENT ON FUNCTION budget._open_balance(budget._match) IS
'Opens the balance of a member''s window, with all that the ledger has in it. False when another has opened it.';
