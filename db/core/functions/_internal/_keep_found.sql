CREATE OR REPLACE FUNCTION budget._keep_found()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_found CONSTANT oid[] := current_setting('pgbudget.found')::oid[];
    v_given record;
BEGIN
    IF current_setting('pgbudget.in_force') <> '' THEN
        EXECUTE current_setting('pgbudget.in_force');
    END IF;
    FOR v_given IN
        SELECT o.name, a.grantee::regrole AS grantee
        FROM (
            SELECT 'FUNCTION ' || p.oid::regprocedure AS name, p.oid, p.proowner AS owner, p.proacl AS acl
            FROM pg_proc AS p
            WHERE p.pronamespace = 'budget'::regnamespace
            UNION ALL
            SELECT c.oid::regclass::text, c.oid, c.relowner, c.relacl
            FROM pg_class AS c
            WHERE c.relnamespace = 'budget'::regnamespace
        ) AS o
        CROSS JOIN LATERAL aclexplode(o.acl) AS a
        WHERE
            (o.oid <> ALL (c_found) OR a.grantee = to_regrole('anon'))
            AND a.grantee NOT IN (0, o.owner, 'budget_caller'::regrole, 'budget_admin'::regrole, 'budget_reader'::regrole)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', v_given.name, v_given.grantee);
    END LOOP;
    PERFORM budget._hand_over();
END
$function$;

REVOKE ALL ON FUNCTION budget._keep_found() FROM PUBLIC;
COMMENT ON FUNCTION budget._keep_found() IS
'For migrations, at their end, in the session of budget._note_found. What a later series had put in the place of
functions of core is in force again. Of what was created since, others lose what default privileges gave them, and anon
loses every right on all functions, views and tables of the schema budget. All belongs to the owner of the ledger.';
