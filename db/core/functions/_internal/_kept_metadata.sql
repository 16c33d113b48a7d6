-- A direct writer replaces the whole metadata, as the handover does. What the row must not lose is kept from the old
-- one, the step that is taken is noted, and the writer's own keys stand between the two.
CREATE OR REPLACE FUNCTION budget._kept_metadata(
    p_old public.cost_tracking,
    p_new public.cost_tracking,
    p_now timestamptz
)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_fixed CONSTANT text[] := ARRAY[
        'reserved_at', 'estimated_cost', 'requested_cost', 'original_metadata',
        'extended_at', 'expired_at', 'cancelled_at', 'settled_at', 'late'
    ];
    c_kept CONSTANT text[] := c_fixed || ARRAY['cancel_reason', 'over_limit'];
    v_old text := p_old.metadata ->> 'type';
    v_new text := p_new.metadata ->> 'type';
    v_kept jsonb := jsonb_object_agg(k.key, k.value) FROM jsonb_each(p_old.metadata) AS k WHERE k.key = ANY (c_kept);
    v_step jsonb := '{}'::jsonb;
BEGIN
    IF NOT p_old.metadata ? 'reserved_at' THEN
        -- Another writer made this hold: its cost is its estimate, and what stands under our keys is not ours.
        v_kept := jsonb_build_object('reserved_at', budget._iso(p_old.created_at), 'estimated_cost', p_old.cost::text);
        IF p_old.metadata ? 'original_metadata' THEN
            v_kept := v_kept || jsonb_build_object('original_metadata', p_old.metadata -> 'original_metadata');
        END IF;
    END IF;

    IF v_new = 'reservation' THEN
        v_step := jsonb_build_object('estimated_cost', p_new.cost::text);
        IF p_new.cost <> p_old.cost OR p_new.expires_at <> p_old.expires_at THEN
            v_step := v_step || jsonb_build_object('extended_at', budget._iso(p_now));
        END IF;
    ELSIF v_new <> v_old THEN
        v_step := jsonb_build_object(
            CASE v_new WHEN 'actual' THEN 'settled_at' ELSE v_new || '_at' END, budget._iso(p_now)
        );
        -- Late: the hold had ended, or had passed its expiry, reclaimed or not.
        IF v_new <> 'expired' AND (v_old <> 'reservation' OR p_old.expires_at <= p_now) THEN
            v_step := v_step || '{"late": true}';
        END IF;
    END IF;
    RETURN v_kept || (p_new.metadata - c_fixed) || v_step;
END
$function$;

REVOKE ALL ON FUNCTION budget._kept_metadata(public.cost_tracking, public.cost_tracking, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._kept_metadata(public.cost_tracking, public.cost_tracking, timestamptz) IS
'The metadata of a hold after an update: what is kept of the old, the writer''s own keys, and the step taken.';
