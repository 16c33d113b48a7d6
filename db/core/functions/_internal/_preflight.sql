-- What stands in the way of taking over the tables that are there. It only reads, and needs nothing but the schema
-- budget, so that it can be asked before anything is changed.
CREATE OR REPLACE FUNCTION budget._preflight()
RETURNS TABLE (table_name text, column_name text, found text, remedy text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_accept_negative boolean := coalesce(nullif(current_setting('pgbudget.accept_negative', true), ''), 'off')::boolean;
    v_is_open boolean;
BEGIN
    RETURN QUERY
    SELECT f.table_name, NULL, f.found, f.remedy FROM budget._foreign_owners() AS f
    UNION ALL
    SELECT f.table_name, NULL, f.found, f.remedy FROM budget._foreign_code() AS f
    UNION ALL
    -- CREATE INDEX IF NOT EXISTS would take it for ours.
    SELECT
        c.relname, NULL, 'no index of the ledger, and has the name of one of ours',
        format('ALTER %s %s RENAME TO another_name', CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END, c.oid::regclass)
    FROM pg_class AS c
    WHERE
        c.oid IN (to_regclass('public.budget_day_idx'), to_regclass('public.budget_expiry_idx'))
        AND NOT EXISTS (
            SELECT FROM pg_index AS i WHERE i.indexrelid = c.oid AND i.indrelid = to_regclass('public.cost_tracking')
        );
    v_is_open := FOUND;

    RETURN QUERY
    WITH used (table_name, column_name, column_type, rule) AS (
        VALUES
        ('cost_tracking', 'id', 'uuid', 'key'),
        ('cost_tracking', 'service_name', 'text', NULL),
        ('cost_tracking', 'cost', 'numeric', 'not null'),
        ('cost_tracking', 'metadata', 'jsonb', NULL),
        ('cost_tracking', 'created_at', 'timestamp with time zone', NULL),
        ('escalations', 'id', 'uuid', 'key'),
        ('escalations', 'work_order_id', 'uuid', 'nullable'),
        ('escalations', 'trigger_type', 'text', NULL),
        ('escalations', 'reason', 'text', 'optional'),
        ('escalations', 'context', 'jsonb', NULL),
        ('escalations', 'status', 'text', NULL),
        ('escalations', 'resolved_at', 'timestamp with time zone', 'nullable'),
        ('escalations', 'created_at', 'timestamp with time zone', NULL),
        ('escalations', 'updated_at', 'timestamp with time zone', NULL),
        ('work_orders', 'id', 'uuid', 'key'),
        ('work_orders', 'metadata', 'jsonb', NULL),
        ('work_orders', 'updated_at', 'timestamp with time zone', NULL),
        ('system_config', 'key', 'text', 'key'),
        ('system_config', 'value', 'text', NULL),
        ('system_config', 'description', 'text', NULL),
        ('system_config', 'updated_at', 'timestamp with time zone', NULL),
        ('proposer_configs', 'name', 'text', 'key'),
        ('proposer_configs', 'complexity_threshold', 'numeric', NULL),
        ('proposer_configs', 'cost_profile', 'jsonb', NULL),
        ('proposer_configs', 'active', 'boolean', NULL),
        ('proposer_configs', 'created_at', 'timestamp with time zone', NULL)
    ),

    tables AS (
        SELECT c.oid, c.relname::text AS table_name, c.relkind, c.relpersistence, c.relowner
        FROM pg_class AS c
        WHERE c.oid IN (SELECT to_regclass('public.' || u.table_name) FROM used AS u)
    ),

    columns AS (
        SELECT
            t.oid, t.table_name, a.attname::text AS column_name, a.attnum, a.attnotnull,
            a.attnotnull OR y.typnotnull AS refuses_null,
            a.atthasdef OR a.attidentity <> '' OR y.typdefault IS NOT NULL AS fills_itself,
            format_type(a.atttypid, NULL) AS column_type,
            a.atttypmod <> -1 AS is_narrow
        FROM tables AS t
        INNER JOIN pg_attribute AS a ON t.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
        INNER JOIN pg_type AS y ON a.atttypid = y.oid
        WHERE t.relkind = 'r'
    ),

    -- Whoever made these knew nothing of ours: what would make ours of them would break what they are for.
    strangers AS (
        SELECT
            u.table_name,
            string_agg(format('%I %s', u.column_name, u.column_type), ', ') AS wanted
        FROM used AS u
        INNER JOIN tables AS t USING (table_name)
        LEFT JOIN columns AS c USING (table_name, column_name)
        WHERE t.relkind = 'r' AND u.rule IS DISTINCT FROM 'optional'
        GROUP BY u.table_name
        HAVING
            2 * count(*) FILTER (WHERE c.column_type = u.column_type) < count(*)
            OR (u.table_name <> 'cost_tracking' AND bool_or(u.rule = 'key' AND c.column_type <> u.column_type))
    ),

    asked AS (
        SELECT u.*
        FROM used AS u
        WHERE u.table_name NOT IN (SELECT s.table_name FROM strangers AS s)
    )

    SELECT
        s.table_name, NULL,
        format('another application''s, by its looks: it has the columns %s', (
            SELECT string_agg(format('%I %s', c.column_name, c.column_type), ', ' ORDER BY c.attnum)
            FROM columns AS c
            WHERE c.table_name = s.table_name AND c.attnum <= 10
        )),
        format(
            'pgbudget needs the name for a table with %s. Rename yours where its application can be changed, ALTER TABLE '
            'public.%I RENAME TO another_name, and pgbudget makes its own; or else give pgbudget a database of its own.',
            s.wanted, s.table_name
        )
    FROM strangers AS s

    UNION ALL
    SELECT
        t.table_name, NULL,
        CASE t.relkind
            WHEN 'r' THEN 'an unlogged table'
            WHEN 'p' THEN 'a partitioned table'
            WHEN 'v' THEN 'a view'
            WHEN 'm' THEN 'a materialized view'
            WHEN 'f' THEN 'a foreign table'
            ELSE 'no table'
        END,
        'It must be an ordinary table that outlives a crash: rename this one, and the table is made or moved to this name.'
    FROM tables AS t
    WHERE t.relkind <> 'r' OR t.relpersistence <> 'p'

    UNION ALL
    SELECT
        t.table_name, NULL, 'owned by ' || t.relowner::regrole,
        format('Migrate as %s, or as a role that is a member of it.', t.relowner::regrole)
    FROM tables AS t
    WHERE t.relkind = 'r' AND NOT pg_has_role(t.relowner, 'USAGE')

    UNION ALL
    SELECT
        t.table_name, NULL,
        'a parent, of ' || string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text),
        'No trigger or constraint of pgbudget would watch rows that are kept in a child: move them into the table itself, '
        'drop the trigger that fills the children, and ALTER TABLE child NO INHERIT it.'
    FROM tables AS t
    INNER JOIN pg_inherits AS i ON t.oid = i.inhparent
    WHERE t.relkind = 'r' AND t.table_name = 'cost_tracking'
    GROUP BY t.table_name

    UNION ALL
    SELECT
        t.table_name, NULL, 'rewritten by the rule ' || quote_ident(r.rulename),
        format('No row could be written as it was decided: DROP RULE %I ON public.%I', r.rulename, t.table_name)
    FROM tables AS t
    INNER JOIN pg_rewrite AS r ON t.oid = r.ev_class
    WHERE t.relkind = 'r' AND t.table_name IN ('cost_tracking', 'escalations', 'system_config') AND r.ev_type IN ('2', '3')

    UNION ALL
    SELECT
        u.table_name, u.column_name, 'missing',
        format('ALTER TABLE public.%I ADD COLUMN %I %s', u.table_name, u.column_name, u.column_type)
    FROM asked AS u
    INNER JOIN tables AS t USING (table_name)
    LEFT JOIN columns AS c USING (table_name, column_name)
    WHERE t.relkind = 'r' AND c.oid IS NULL AND u.rule IS DISTINCT FROM 'optional'

    UNION ALL
    SELECT
        u.table_name, u.column_name, 'of type ' || c.column_type,
        format(
            'ALTER TABLE public.%I ALTER COLUMN %I TYPE %s, with a USING clause that says how your values are to be read.',
            u.table_name, u.column_name, u.column_type
        )
    FROM asked AS u
    INNER JOIN columns AS c USING (table_name, column_name)
    WHERE c.column_type <> u.column_type

    UNION ALL
    SELECT
        u.table_name, u.column_name, 'without a unique key of its own',
        format('ALTER TABLE public.%I ADD UNIQUE (%I)', u.table_name, u.column_name)
    FROM asked AS u
    INNER JOIN columns AS c USING (table_name, column_name)
    WHERE
        u.rule = 'key'
        AND NOT EXISTS (
            SELECT
            FROM pg_index AS i
            WHERE
                i.indrelid = c.oid
                AND i.indisunique AND i.indisvalid AND i.indimmediate
                AND i.indnkeyatts = 1 AND i.indkey[0] = c.attnum AND i.indpred IS NULL
        )

    UNION ALL
    SELECT
        u.table_name, u.column_name, 'without NOT NULL, so that spend could be written without an amount',
        format('ALTER TABLE public.%I ALTER COLUMN %I SET NOT NULL', u.table_name, u.column_name)
    FROM asked AS u
    INNER JOIN columns AS c USING (table_name, column_name)
    WHERE u.rule = 'not null' AND NOT c.attnotnull

    UNION ALL
    SELECT
        c.table_name, c.column_name, 'NOT NULL, but pgbudget has no value for it',
        format('ALTER TABLE public.%I ALTER COLUMN %I DROP NOT NULL, or give it a default.', c.table_name, c.column_name)
    FROM columns AS c
    LEFT JOIN used AS u USING (table_name, column_name)
    WHERE
        c.refuses_null
        AND c.table_name NOT IN (SELECT s.table_name FROM strangers AS s)
        AND (
            u.rule = 'nullable'
            OR (
                u.table_name IS NULL
                AND NOT c.fills_itself
                AND c.table_name IN ('cost_tracking', 'escalations', 'system_config')
            )
        )

    UNION ALL
    SELECT
        c.table_name, c.column_name, format('of the application, of type %s', c.column_type),
        format(
            'pgbudget adds a column of this name, in which a time marks an open hold: rename yours with '
            'ALTER TABLE public.%I RENAME COLUMN %I TO another_name', c.table_name, c.column_name
        )
    FROM columns AS c
    WHERE
        c.table_name = 'cost_tracking' AND c.column_name = 'expires_at'
        AND coalesce(col_description(c.oid, c.attnum), '') NOT LIKE '%Kept by pgbudget.'

    UNION ALL
    SELECT
        c.table_name, c.column_name, 'used by ' || pg_describe_object(d.classid, d.objid, d.objsubid),
        format('The column becomes plain %s, which this forbids: drop it, migrate, create it again.', c.column_type)
    FROM columns AS c
    INNER JOIN pg_depend AS d ON c.oid = d.refobjid AND c.attnum = d.refobjsubid
    WHERE
        c.table_name = 'cost_tracking' AND c.column_name IN ('cost', 'created_at', 'expires_at') AND c.is_narrow
        AND d.refclassid = 'pg_class'::regclass
        AND NOT EXISTS (
            SELECT
            FROM pg_rewrite AS r
            WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.ev_class = c.oid AND r.ev_type IN ('2', '3')
        )
        -- What ALTER TABLE refuses; indexes, constraints and the column's own default it carries over.
        AND (
            d.classid IN (
                'pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass,
                'pg_publication_rel'::regclass
            )
            OR EXISTS (
                SELECT
                FROM pg_attrdef AS f
                WHERE d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid AND f.adnum <> c.attnum
            )
        );

    -- The rows can be read by these rules only where the columns are what they should be, and nobody's code runs by it.
    IF FOUND OR v_is_open OR to_regclass('public.cost_tracking') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT
        'cost_tracking', r.column_name,
        format('%s (rows: %s, for example id %s)', r.found, count(*), min(l.id::text)),
        r.remedy
    FROM public.cost_tracking AS l
    CROSS JOIN LATERAL (
        VALUES
        (
            'created_at', 'NULL', l.created_at IS NULL,
            'Give them the time at which the money was spent.'
        ),
        (
            'cost', 'negative', l.cost < 0 AND l.cost > -1e15 AND NOT v_accept_negative,
            'Mend them; or accept them as they are, with --accept-negative or the setting pgbudget.accept_negative = on.'
        ),
        (
            'cost', 'no amount below 1e15', l.cost <= -1e15 OR l.cost >= 1e15,
            'Mend them: such a row makes every sum useless.'
        )
    ) AS r (column_name, found, is_broken, remedy)
    WHERE
        (l.created_at IS NULL OR l.cost < 0 OR l.cost >= 1e15)
        AND r.is_broken
    GROUP BY r.column_name, r.found, r.remedy;
END
$function$;

REVOKE ALL ON FUNCTION budget._preflight() FROM PUBLIC;
COMMENT ON FUNCTION budget._preflight() IS
'What stands in the way of taking over the application''s tables: one row each, with what to do. No rows: go ahead.';
