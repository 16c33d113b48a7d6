-- Whoever can change what runs while our functions write runs code as the owner of the ledger, and as the DBA while he
-- migrates: the functions behind triggers, rules, policies, defaults, generated columns, CHECK constraints, indexes,
-- domains and operators. Followed through what the catalog knows of; what a body's text calls it does not. A superuser,
-- and whoever has the owner's rights anyway, gains nothing by it.
CREATE OR REPLACE FUNCTION budget._foreign_code()
RETURNS TABLE (table_name text, found text, remedy text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_owner CONSTANT oid := budget._ledger_owner();
    c_accept_owner CONSTANT boolean := coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean;
BEGIN
    RETURN QUERY
    WITH RECURSIVE tables (oid, root, is_root) AS (
        SELECT c.oid, c.relname::text, true
        FROM pg_class AS c
        WHERE c.oid IN (
            SELECT to_regclass('public.' || t)
            FROM unnest(ARRAY['cost_tracking', 'escalations', 'work_orders', 'system_config', 'proposer_configs']) AS t
        )
        UNION
        SELECT n.oid, t.root, false
        FROM tables AS t
        CROSS JOIN LATERAL (
            SELECT i.inhrelid AS oid FROM pg_inherits AS i WHERE t.oid = i.inhparent
            UNION ALL
            -- Settings of ours are deleted. Rows that refer to them go along, and what is on their tables runs.
            SELECT k.conrelid
            FROM pg_constraint AS k
            WHERE t.root = 'system_config' AND t.oid = k.confrelid AND k.confdeltype NOT IN ('a', 'r')
        ) AS n
    ),

    parts (class, oid, root) AS (
        SELECT 'pg_class'::regclass::oid, t.oid, t.root FROM tables AS t
        UNION ALL
        SELECT 'pg_trigger'::regclass, g.oid, t.root
        FROM tables AS t
        INNER JOIN pg_trigger AS g ON t.oid = g.tgrelid AND NOT g.tgisinternal
        UNION ALL
        SELECT 'pg_rewrite'::regclass, w.oid, t.root FROM tables AS t INNER JOIN pg_rewrite AS w ON t.oid = w.ev_class
        UNION ALL
        SELECT 'pg_policy'::regclass, p.oid, t.root FROM tables AS t INNER JOIN pg_policy AS p ON t.oid = p.polrelid
        UNION ALL
        SELECT 'pg_attrdef'::regclass, f.oid, t.root FROM tables AS t INNER JOIN pg_attrdef AS f ON t.oid = f.adrelid
        UNION ALL
        SELECT 'pg_constraint'::regclass, k.oid, t.root
        FROM tables AS t
        INNER JOIN pg_constraint AS k ON t.oid = k.conrelid
        UNION ALL
        SELECT 'pg_class'::regclass, i.indexrelid, t.root FROM tables AS t INNER JOIN pg_index AS i ON t.oid = i.indrelid
        UNION ALL
        SELECT 'pg_statistic_ext'::regclass, s.oid, t.root
        FROM tables AS t
        INNER JOIN pg_statistic_ext AS s ON t.oid = s.stxrelid
        UNION ALL
        SELECT 'pg_event_trigger'::regclass, e.oid, NULL FROM pg_event_trigger AS e WHERE e.evtenabled <> 'D'
    ),

    used (class, oid, root, part_class, part) AS (
        SELECT p.class, p.oid, p.root, p.class, p.oid FROM parts AS p
        UNION
        SELECT n.class, n.oid, u.root, u.part_class, u.part
        FROM used AS u
        CROSS JOIN LATERAL (
            SELECT d.refclassid AS class, d.refobjid AS oid
            FROM pg_depend AS d
            WHERE
                d.classid = u.class AND d.objid = u.oid
                AND (
                    d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
                    -- A rule may write to other tables.
                    OR u.class = 'pg_rewrite'::regclass
                )
            UNION ALL
            SELECT 'pg_constraint'::regclass, k.oid
            FROM pg_constraint AS k
            WHERE u.class = 'pg_type'::regclass AND k.contypid = u.oid
        ) AS n
    ),

    owned (class, oid, owner) AS (
        SELECT 'pg_proc'::regclass::oid, p.oid, p.proowner FROM pg_proc AS p
        UNION ALL
        SELECT 'pg_operator'::regclass, o.oid, o.oprowner FROM pg_operator AS o
        UNION ALL
        SELECT 'pg_type'::regclass, y.oid, y.typowner FROM pg_type AS y WHERE y.typtype = 'd'
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, c.relowner
        FROM pg_class AS c
        WHERE c.relkind <> 'i' AND c.oid NOT IN (SELECT t.oid FROM tables AS t WHERE t.is_root)
    )

    SELECT
        u.root,
        format(
            'open to code of %s, which would run with the rights of %s: %s', o.owner::regrole, c_owner::regrole,
            string_agg(
                DISTINCT concat_ws(
                    ', ',
                    pg_describe_object(u.part_class, u.part, 0),
                    CASE WHEN (u.class, u.oid) <> (u.part_class, u.part) THEN pg_describe_object(u.class, u.oid, 0) END
                ),
                '; '
            )
        ),
        format(
            'Look at what it does; then drop it, or let it belong to %s: ALTER %s OWNER TO %s', c_owner::regrole,
            min(
                CASE
                    WHEN u.class = 'pg_proc'::regclass THEN 'ROUTINE ' || u.oid::regprocedure
                    WHEN u.class = 'pg_operator'::regclass THEN 'OPERATOR ' || u.oid::regoperator
                    WHEN u.class = 'pg_type'::regclass THEN 'DOMAIN ' || u.oid::regtype
                    ELSE 'TABLE ' || u.oid::regclass
                END
            ),
            c_owner::regrole
        )
    FROM used AS u
    INNER JOIN owned AS o ON u.class = o.class AND u.oid = o.oid
    INNER JOIN pg_roles AS r ON o.owner = r.oid
    WHERE
        NOT r.rolsuper
        AND NOT pg_has_role(r.oid, c_owner, 'USAGE')
        -- The DBA said that he trusts the owners of the tables.
        AND NOT (
            c_accept_owner
            AND EXISTS (
                SELECT FROM tables AS t INNER JOIN pg_class AS c ON t.oid = c.oid WHERE t.is_root AND c.relowner = r.oid
            )
        )
    GROUP BY u.root, o.owner;
END
$function$;

REVOKE ALL ON FUNCTION budget._foreign_code() FROM PUBLIC;
COMMENT ON FUNCTION budget._foreign_code() IS
'What would run with the rights of the ledger''s owner, or of the migrating role, and another role can change: a row for
each table and role, with what to do; table_name is NULL for an event trigger. No rows: all is well.';
