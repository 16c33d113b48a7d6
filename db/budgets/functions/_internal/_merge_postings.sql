CREATE OR REPLACE FUNCTION budget._merge_postings(p_postings budget.postings[])
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_posting budget.postings;
    v_amount numeric;
BEGIN
    FOREACH v_posting IN ARRAY coalesce(p_postings, '{}') LOOP
        v_amount := budget._take_postings(v_posting.budget, v_posting.member, v_posting.starts_at, v_posting.slot);
        IF v_amount <> 0 THEN
            v_posting.amount := v_amount;
            INSERT INTO budget.postings SELECT v_posting.*;
        END IF;
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._merge_postings(budget.postings[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._merge_postings(budget.postings[]) IS
'Of each balance and slot that is named, makes one posting of all that wait there.';
