CREATE OR REPLACE FUNCTION budget._ledger_sum(
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
DECLARE
    v_sum numeric;
BEGIN
    SELECT coalesce(sum(l.cost), 0)
    INTO v_sum
    FROM public.cost_tracking AS l
    WHERE
        l.created_at >= p_starts_at
        AND l.created_at < p_ends_at
        AND isfinite(l.created_at)
        AND (
            p_dimension = '*'
            OR budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member
        );
    RETURN v_sum;
END
$function$;

REVOKE ALL ON FUNCTION budget._ledger_sum(text, text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._ledger_sum(text, text, timestamptz, timestamptz) IS
'What a balance must be: the sum of the ledger rows of a member in a window, and among them the lapsed holds that are
not marked.';
