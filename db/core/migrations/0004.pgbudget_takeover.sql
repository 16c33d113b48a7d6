-- depends: 0003.pgbudget_functions
-- Holds are held to their state machine, whoever writes, and check_and_reserve_budget becomes ours. In this order:
-- callers of the handover's function wait for the triggers' lock in its queue, callers of ours would keep it busy; and
-- a direct writer could not settle a hold of ours without the triggers.
-- Writers of the ledger wait for this short transaction.

SET search_path = pg_catalog, pg_temp;

DO $do$
DECLARE
    v_open record;
BEGIN
    PERFORM budget._lock_table('public.cost_tracking', 'SHARE ROW EXCLUSIVE');
    -- From here on our functions write these tables. What was being made when TRIGGER was revoked is there by now.
    SELECT f.* INTO v_open FROM budget._foreign_code() AS f LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the takeover is not safe: % is %', v_open.table_name, v_open.found
            USING ERRCODE = '55000', HINT = E'This step changed nothing. Then migrate again.\n' || v_open.remedy;
    END IF;
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

-- The handover's own function, where it is there, gives its name to ours and is kept beside it. Ours takes the name in
-- the same statement, so that nobody can make another of that name meanwhile. It does nothing before it is closed to
-- PUBLIC and to all whom default privileges open it to. What is here already has the rights that its DBA wants.
DO $do$
DECLARE
    v_grantee text;
BEGIN
    IF budget._adopted_function() IS NOT NULL THEN
        ALTER FUNCTION public.check_and_reserve_budget(numeric, text, jsonb)
        RENAME TO check_and_reserve_budget_before_pgbudget;
    END IF;
    IF to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)') IS NULL THEN
        CREATE FUNCTION public.check_and_reserve_budget(
            p_estimated_cost numeric,
            p_service_name text,
            p_metadata jsonb DEFAULT '{}'
        )
        RETURNS TABLE (can_proceed boolean, current_total numeric, reservation_id uuid)
        LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp
        AS $function$
        BEGIN
            RAISE EXCEPTION 'pgbudget is being installed'
                USING ERRCODE = '55000', HINT = 'Nothing was reserved; try again. Then it calls budget.reserve().';
        END
        $function$;
        FOR v_grantee IN
            SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
            FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
            WHERE
                p.oid = 'public.check_and_reserve_budget(numeric, text, jsonb)'::regprocedure
                AND a.grantee <> p.proowner
        LOOP
            EXECUTE format(
                'REVOKE ALL ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) FROM %s', v_grantee
            );
        END LOOP;
        EXECUTE format(
            'ALTER FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) OWNER TO %s', budget._ledger_owner()::regrole
        );
    END IF;
END
$do$;

-- begin functions/check_and_reserve_budget.sql
CREATE OR REPLACE FUNCTION public.check_and_reserve_budget(
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}'
)
RETURNS TABLE (can_proceed boolean, current_total numeric, reservation_id uuid)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN QUERY
    SELECT v.can_proceed, v.current_total, v.reservation_id
    FROM budget.reserve(p_estimated_cost, p_service_name, p_metadata) AS v;
END
$function$;

REVOKE ALL ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO budget_caller, budget_admin;
COMMENT ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) IS
'Three columns of budget.reserve, for callers that know nothing of schema budget. One row.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who will spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB, kept as original_metadata

Errors and locks: those of budget.reserve.';
-- end functions/check_and_reserve_budget.sql

DO $do$
BEGIN
    IF to_regrole('anon') IS NOT NULL THEN
        REVOKE ALL ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) FROM anon;
    END IF;
END
$do$;

-- Whoever could call the handover's function and write the ledger himself keeps his way to reserve: see budget._former_callers. The
-- old function is for nobody: it decides by rules of its own. Its rights are noted in its comment, for the way back.
DO $do$
DECLARE
    c_old CONSTANT regprocedure := to_regprocedure('public.check_and_reserve_budget_before_pgbudget(numeric, text, jsonb)');
    v_kept jsonb;
    v_role text;
BEGIN
    IF c_old IS NULL OR obj_description(c_old, 'pg_proc') LIKE 'pgbudget kept this: %' THEN
        RETURN;
    END IF;
    FOR v_role IN SELECT f.role_name FROM budget._former_callers(c_old) AS f
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO %s', v_role);
    END LOOP;
    SELECT
        jsonb_build_object(
            'comment', obj_description(c_old, 'pg_proc'),
            'grants', coalesce(jsonb_agg(jsonb_build_object(
                'to', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                'grantable', a.is_grantable
            )), '[]')
        )
    INTO v_kept
    FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
    WHERE p.oid = c_old AND a.grantee <> p.proowner;
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', c_old, 'pgbudget kept this: ' || v_kept::text);
    FOR v_role IN SELECT g.value ->> 'to' FROM jsonb_array_elements(v_kept -> 'grants') AS g LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', c_old, v_role);
    END LOOP;
END
$do$;

RESET search_path;
