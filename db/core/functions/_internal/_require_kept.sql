-- Triggers of the application's run between a statement of ours and the ledger. Keys that they add to the metadata are
-- theirs.
CREATE OR REPLACE FUNCTION budget._require_kept(p_asked public.cost_tracking, p_row public.cost_tracking)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_triggers text;
BEGIN
    IF (p_row.id, p_row.service_name, p_row.cost, p_row.created_at, p_row.metadata || p_asked.metadata)
        = (p_asked.id, p_asked.service_name, p_asked.cost, p_asked.created_at, p_row.metadata)
        AND p_row.expires_at IS NOT DISTINCT FROM p_asked.expires_at
    THEN
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(t.tgname), ', ' ORDER BY t.tgname)
    INTO v_triggers
    FROM pg_trigger AS t
    INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
    WHERE
        t.tgrelid = 'public.cost_tracking'::regclass
        AND NOT t.tgisinternal
        AND p.pronamespace <> 'budget'::regnamespace;
    RAISE EXCEPTION 'the ledger did not keep the row % as it was written', p_asked.id
        USING ERRCODE = 'PB006',
        DETAIL = format(
            'Written: service %s, cost %s, at %s. Kept: %s. The triggers of the application on public.cost_tracking: %s.',
            p_asked.service_name, p_asked.cost, budget._iso(p_asked.created_at),
            CASE
                WHEN p_row.id IS NULL THEN 'nothing'
                ELSE format(
                    'id %s, service %s, cost %s, at %s, type %s', p_row.id, p_row.service_name, p_row.cost,
                    budget._iso(p_row.created_at), p_row.metadata ->> 'type'
                )
            END,
            coalesce(v_triggers, 'none')
        ),
        HINT = 'Nothing was changed. No trigger may swallow, move or change the rows of holds and spend: drop it, or let it '
            'pass rows by whose metadata has a type.';
END
$function$;

REVOKE ALL ON FUNCTION budget._require_kept(public.cost_tracking, public.cost_tracking) FROM PUBLIC;
COMMENT ON FUNCTION budget._require_kept(public.cost_tracking, public.cost_tracking) IS
'Errors: PB006 unless the ledger has the row as it was written; of its metadata, the keys that were written.';
