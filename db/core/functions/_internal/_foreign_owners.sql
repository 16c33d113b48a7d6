-- The owner of a table runs code as whoever writes it, by a trigger, and the owner of a function can change it at any
-- time. Whose they are has to be one role, that of all of pgbudget; or else the DBA says that he trusts the others.
CREATE OR REPLACE FUNCTION budget._foreign_owners()
RETURNS TABLE (table_name text, found text, remedy text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_owner CONSTANT oid := budget._ledger_owner();
BEGIN
    IF coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT
        'cost_tracking',
        format('owned by %s, whose code would run with the rights of %I meanwhile', r.oid::regrole, current_user),
        format(
            'Migrate as %s, to whom all of pgbudget then belongs; or, if you trust it with the rights of %I, with '
            '--accept-owner or the setting pgbudget.accept_owner = on: all of pgbudget belongs to %s then too.',
            r.oid::regrole, current_user, r.oid::regrole
        )
    FROM pg_roles AS r
    WHERE r.oid = c_owner AND r.rolname <> current_user AND NOT r.rolsuper AND pg_has_role(r.oid, 'USAGE')
    UNION ALL
    SELECT
        o.name,
        format('owned by %s, whose code would run with the rights of %s', o.owner::regrole, c_owner::regrole),
        format(
            'ALTER %s OWNER TO %s; or, if you trust %s with those rights, migrate with --accept-owner or the setting '
            'pgbudget.accept_owner = on.', o.kind, c_owner::regrole, o.owner::regrole
        )
    FROM (
        SELECT c.relname::text AS name, c.relowner AS owner, 'TABLE ' || c.oid::regclass AS kind, c.relkind AS table_kind
        FROM pg_class AS c
        WHERE
            c.relkind = 'r'
            AND c.oid IN (
                SELECT to_regclass('public.' || t)
                FROM unnest(ARRAY['escalations', 'work_orders', 'system_config', 'proposer_configs']) AS t
            )
        UNION ALL
        SELECT p.proname, p.proowner, 'FUNCTION ' || p.oid::regprocedure, NULL
        FROM pg_proc AS p
        WHERE p.oid IN (
            budget._adopted_function(),
            to_regprocedure('public.check_and_reserve_budget_before_pgbudget(numeric, text, jsonb)')
        )
    ) AS o
    INNER JOIN pg_roles AS r ON o.owner = r.oid
    -- Tables that the migrating role cannot change at all are reported by budget._preflight itself.
    WHERE r.oid <> c_owner AND NOT r.rolsuper AND (o.table_kind IS NULL OR pg_has_role(r.oid, 'USAGE'));
END
$function$;

REVOKE ALL ON FUNCTION budget._foreign_owners() FROM PUBLIC;
COMMENT ON FUNCTION budget._foreign_owners() IS
'Tables that our functions write, and functions of our names, of another owner than the ledger''s; and the ledger, where
neither the migrating role nor a superuser owns it. No rows where pgbudget.accept_owner is on.';
