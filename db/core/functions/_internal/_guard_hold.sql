-- The state machine of a hold, for our own functions and for direct writers alike. It also keeps the books: whoever
-- moves a hold to another state gets its times, its estimate and its lateness kept, and its expiry cleared.
CREATE OR REPLACE FUNCTION budget._guard_hold()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_old text := OLD.metadata ->> 'type';
    v_new text := NEW.metadata ->> 'type';
    v_now timestamptz := budget._now();
    v_fault text;
BEGIN
    v_fault := CASE
        WHEN v_old IS DISTINCT FROM 'reservation'
            AND (OLD.metadata ? 'reserved_at' AND v_old IN ('actual', 'cancelled', 'expired')) IS NOT TRUE
            THEN 'it is spend, and spend cannot become a hold'
        WHEN (NEW.id, NEW.service_name, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.service_name, OLD.created_at)
            THEN 'its id, service and creation time cannot change'
        WHEN v_new IS NULL OR v_new NOT IN ('reservation', 'actual', 'cancelled', 'expired')
            THEN 'metadata.type must say what became of it'
        WHEN v_new <> v_old
            AND v_old || '>' || v_new NOT IN (
                'reservation>actual', 'reservation>cancelled', 'reservation>expired',
                'expired>actual', 'expired>cancelled', 'cancelled>actual'
            )
            THEN 'it cannot go from one of these states to the other'
        WHEN v_new = v_old AND v_new <> 'reservation' AND NEW.cost <> OLD.cost
            THEN 'the cost of an ended hold cannot change'
        WHEN v_new = 'cancelled' AND NEW.cost <> 0
            THEN 'a cancelled hold costs nothing'
    END;
    IF v_fault IS NOT NULL THEN
        RAISE EXCEPTION 'the ledger row % cannot be changed like this: %', OLD.id, v_fault
            USING ERRCODE = 'PB004',
            DETAIL = format(
                'State %s, cost %s; asked for state %s, cost %s.',
                coalesce(v_old, 'none'), OLD.cost, coalesce(v_new, 'none'), NEW.cost
            ),
            HINT = 'Use budget.settle, budget.cancel or budget.extend; a hold may also be deleted.';
    END IF;

    IF v_new = 'reservation' THEN
        NEW.expires_at := coalesce(NEW.expires_at, OLD.expires_at);
    ELSE
        NEW.expires_at := NULL;
    END IF;
    IF v_new = 'reservation' AND OLD.expires_at IS NULL AND (NEW.cost, NEW.metadata) = (OLD.cost, OLD.metadata) THEN
        RETURN NEW; -- adoption gives a hold its expiry, and leaves it as it was found otherwise
    END IF;
    NEW.metadata := budget._kept_metadata(OLD, NEW, v_now);
    RETURN NEW;
END
$function$;

REVOKE ALL ON FUNCTION budget._guard_hold() FROM PUBLIC;
COMMENT ON FUNCTION budget._guard_hold() IS
'Trigger on ledger rows that began as a hold, or are to become one: allows the moves of the state machine alone.
Errors: PB004.';
