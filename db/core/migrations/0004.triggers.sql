-- depends: 0003.functions
-- Holds are held to their state machine, whoever writes. Writers of the ledger wait for this short transaction.

SET search_path = pg_catalog, pg_temp;

DO $do$
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE ROW EXCLUSIVE');
    CREATE OR REPLACE TRIGGER budget_guard_hold
    BEFORE UPDATE ON public.cost_tracking
    FOR EACH ROW
    WHEN (
        OLD.metadata ->> 'type' = 'reservation'
        OR NEW.metadata ->> 'type' = 'reservation'
        OR (OLD.metadata ? 'reserved_at' AND OLD.metadata ->> 'type' IN ('actual', 'cancelled', 'expired'))
    )
    EXECUTE FUNCTION budget._guard_hold();

    CREATE OR REPLACE TRIGGER budget_adopt_hold
    BEFORE INSERT ON public.cost_tracking
    FOR EACH ROW
    WHEN (NEW.expires_at IS NULL AND NEW.metadata ->> 'type' = 'reservation')
    EXECUTE FUNCTION budget._adopt_hold();
END
$do$;

RESET search_path;
