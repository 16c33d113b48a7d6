-- Asked only for a refusal, to explain it: the way to a grant needs no look at single holds. They are read in the order
-- in which they lapse, and no further than to the one that frees enough. A cursor is planned for the first rows of its
-- answer: an index on that order, where there is one, is used however many holds the planner takes to be open.
CREATE OR REPLACE FUNCTION budget._freed(
    p_amount numeric,
    p_now timestamptz,
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_except_id uuid,
    p_on_expiry text,
    p_dimension text,
    p_member text,
    OUT is_enough boolean,
    OUT enough_at timestamptz
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET cursor_tuple_fraction = 0.001
AS $function$
DECLARE
    c_holds CURSOR FOR
        SELECT l.expires_at, l.cost
        FROM public.cost_tracking AS l
        WHERE
            l.created_at >= p_starts_at
            AND l.created_at < p_ends_at
            AND isfinite(l.created_at)
            AND l.expires_at > p_now
            AND l.id IS DISTINCT FROM p_except_id
            AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member
        ORDER BY l.expires_at;
    v_freed numeric := 0;
BEGIN
    is_enough := false;
    FOR v_hold IN c_holds LOOP
        v_freed := v_freed + v_hold.cost;
        IF v_freed >= p_amount THEN
            is_enough := true;
            -- A hold that is kept when it lapses frees nothing by lapsing.
            enough_at := CASE p_on_expiry WHEN 'release' THEN v_hold.expires_at END;
            RETURN;
        END IF;
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._freed(
    numeric, timestamptz, timestamptz, timestamptz, uuid, text, text, text
) FROM PUBLIC;
COMMENT ON FUNCTION budget._freed(
    numeric, timestamptz, timestamptz, timestamptz, uuid, text, text, text
) IS
'Whether the other open holds of a member in a window hold the amount together, and the earliest instant at which enough
of them have lapsed to free it; NULL if that never is.';
