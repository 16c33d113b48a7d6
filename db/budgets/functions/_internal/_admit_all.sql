-- What is granted one after another is granted at once where all of it fits: then no part of it can be refused.
CREATE OR REPLACE FUNCTION budget._admit_all(
    p_config budget._config,
    p_now timestamptz,
    p_postings budget._posting[],
    p_ids uuid[],
    p_ttls interval[]
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_match budget._match;
    v_day budget._match;
    v_before numeric;
    v_fits boolean;
    v_total numeric;
    v_held bigint;
BEGIN
    IF p_config.frozen OR EXISTS (SELECT FROM public.cost_tracking AS l WHERE l.id = ANY (p_ids)) THEN
        RETURN;
    END IF;
    FOR v_match IN SELECT m.* FROM budget._matching(p_config, p_postings, p_now) AS m LOOP
        v_before := budget._booked(
            v_match.budget, v_match.dimension, v_match.member, v_match.starts_at, v_match.ends_at
        );
        v_fits := v_match.enforcement = 'warn'
            OR v_before + v_match.amount <= v_match.limit_amount
            OR (v_match.amount = 0 AND v_match.budget <> 'daily');
        -- Lapsed holds are looked for only where that makes a difference: a batch may be for many members.
        IF v_match.budget = 'daily' OR NOT v_fits THEN
            v_before := budget._balance(
                p_config, v_match.budget, v_match.dimension, v_match.member, v_match.starts_at, v_match.ends_at, p_now
            );
        END IF;
        IF v_match.budget = 'daily' THEN
            v_day := v_match;
            v_total := v_before;
        END IF;
        IF NOT v_fits AND v_before + v_match.amount > v_match.limit_amount THEN
            RETURN;
        END IF;
    END LOOP;

    BEGIN
        WITH held AS (
            INSERT INTO public.cost_tracking AS l (id, service_name, cost, metadata, created_at, expires_at)
            SELECT
                r.id, r.service_name, r.amount, budget._hold_metadata(r.amount, r.request, p_now), p_now,
                p_now + coalesce(r.ttl, p_config.reservation_ttl)
            FROM unnest(p_postings, p_ids, p_ttls) WITH ORDINALITY
                AS r (service_name, request, created_at, amount, id, ttl, n)
            ORDER BY r.id -- two batches that have ids in common, in any order, meet at the first of them
            ON CONFLICT (id) DO NOTHING
            RETURNING l.cost, l.metadata, l.created_at
        )

        SELECT count(*)
        INTO v_held
        FROM held AS h
        WHERE h.created_at = p_now AND h.cost = (h.metadata ->> 'requested_cost')::numeric;
        IF v_held < cardinality(p_ids) THEN
            RAISE EXCEPTION USING ERRCODE = 'PB099';
        END IF;
    EXCEPTION
        WHEN SQLSTATE 'PB099' THEN
            RETURN; -- an id stands here twice, was taken between our look and our insert, or a trigger changed a row
    END;
    PERFORM budget._escalate_caps(p_config, v_total + v_day.amount, p_now);
    RETURN QUERY
    SELECT
        true,
        v_total + r.earlier,
        r.id,
        'granted',
        v_day.budget,
        v_day.limit_amount,
        v_day.limit_amount - v_total - r.earlier,
        v_day.ends_at,
        NULL::timestamptz,
        p_now + coalesce(r.ttl, p_config.reservation_ttl)
    FROM (
        SELECT u.id, u.ttl, u.n, sum(u.amount) OVER (ORDER BY u.n) - u.amount AS earlier
        FROM unnest(p_postings, p_ids, p_ttls) WITH ORDINALITY AS u (service_name, request, created_at, amount, id, ttl, n)
    ) AS r
    ORDER BY r.n;
END
$function$;

REVOKE ALL ON FUNCTION budget._admit_all(
    budget._config, timestamptz, budget._posting[], uuid[], interval[]
) FROM PUBLIC;
COMMENT ON FUNCTION budget._admit_all(budget._config, timestamptz, budget._posting[], uuid[], interval[]) IS
'Grants requests as if they came one after another, under the decision lock, if all of them fit and none is a repeat.
No rows, and nothing done, when not.';
