-- Whoever may put a trigger on a table that our functions write, or have rows go with a setting that they delete, runs
-- code with their rights.
CREATE OR REPLACE FUNCTION budget._code_rights()
RETURNS TABLE (right_name text, table_name text, grantee text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT DISTINCT
        a.privilege_type,
        c.oid::regclass::text,
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
    FROM pg_class AS c
    CROSS JOIN LATERAL (
        SELECT t.grantee, t.privilege_type FROM aclexplode(c.relacl) AS t
        UNION ALL
        SELECT l.grantee, l.privilege_type
        FROM pg_attribute AS t
        CROSS JOIN LATERAL aclexplode(t.attacl) AS l
        WHERE t.attrelid = c.oid
    ) AS a
    WHERE
        c.relkind = 'r'
        AND (
            c.relnamespace = to_regnamespace('budget')
            OR (
                c.relnamespace = to_regnamespace('public')
                AND c.relname IN ('cost_tracking', 'escalations', 'system_config', 'proposer_configs', 'work_orders')
            )
        )
        AND (
            a.privilege_type = 'TRIGGER'
            OR (a.privilege_type = 'REFERENCES' AND c.oid = to_regclass('public.system_config'))
        )
        AND a.grantee <> c.relowner;
END
$function$;

REVOKE ALL ON FUNCTION budget._code_rights() FROM PUBLIC;
COMMENT ON FUNCTION budget._code_rights() IS
'The rights with which others than its owner could have a table run their code: TRIGGER on any of ours, and REFERENCES
on the settings.';
