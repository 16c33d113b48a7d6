-- What `pgbudget doctor` looks at, beside what only the client can see. Each query finds what is to be said: verdict
-- ('wrong', 'note' for what may be meant, 'info'), found, mend. No rows: all is well. A check is a line `-- check: name`
-- and the statement below it, which only reads; a role that may not run it is told so.
--
-- A mend is prose, which ends with a full stop, or what can be pasted: SQL, or a command line, behind at most one clause
-- that ends with ': '. What is pasted takes nothing from a caller that he needs: who loses a right has another first, in
-- one transaction, and no strong lock is waited for as long as callers wait behind it. docs/operations.md lists them:
-- DOCS_REFRESH=1 pytest tests/docs/test_doctor_page.py. Where they are put together from so many pieces that they cannot
-- be read from here, lines `-- mends: …` say them.

-- check: server
SELECT s.verdict, s.found, s.mend
FROM (
    VALUES
    (
        pg_is_in_recovery(), 'note', 'this is a standby: it shows the day as of what was replayed, and reserves nothing',
        'Connect to the primary.'
    ),
    (
        current_setting('server_version_num')::integer < 150000, 'wrong',
        'PostgreSQL ' || current_setting('server_version'), 'pgbudget needs PostgreSQL 15 or newer.'
    ),
    (
        current_setting('default_transaction_isolation') <> 'read committed'
        AND (SELECT g.source FROM pg_settings AS g WHERE g.name = 'default_transaction_isolation') = 'client', 'wrong',
        'this connection begins as ' || current_setting('default_transaction_isolation')
        || ', in which every reservation is refused with PB001',
        'It asks for that itself: look at its options, at PGOPTIONS and at the driver of whoever calls like this.'
    ),
    (
        current_setting('fsync') = 'off' OR current_setting('full_page_writes') = 'off', 'note',
        'fsync or full_page_writes is off: a crash of the machine loses reservations',
        'Turn both on in postgresql.conf, and reload it.'
    )
) AS s (applies, verdict, found, mend)
WHERE s.applies
UNION ALL
SELECT
    'wrong', format('transactions of %s begin with %s = %s, and then %s', d.whose, d.name, d.value, d.what),
    format('If nothing else of its needs that: ALTER %s RESET %s', d.whose, d.name)
FROM (
    SELECT
        CASE
            WHEN s.setrole = 0 THEN format('DATABASE %I', current_database())
            WHEN s.setdatabase = 0 THEN format('ROLE %s', s.setrole::regrole)
            ELSE format('ROLE %s IN DATABASE %I', s.setrole::regrole, current_database())
        END AS whose,
        split_part(o.setting, '=', 1) AS name,
        substr(o.setting, strpos(o.setting, '=') + 1) AS value,
        CASE
            WHEN o.setting LIKE '%isolation=%' THEN 'every reservation is refused with PB001'
            ELSE 'every call that writes is refused with 25006'
        END AS what
    FROM pg_db_role_setting AS s
    CROSS JOIN unnest(s.setconfig) AS o (setting)
    WHERE
        s.setdatabase IN (0, (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database()))
        AND (
            s.setrole = 0
            OR pg_has_role(s.setrole, to_regrole('budget_caller'), 'MEMBER')
            OR pg_has_role(s.setrole, to_regrole('budget_admin'), 'MEMBER')
        )
        AND (
            o.setting ~ '^default_transaction_isolation=(?!read committed$)'
            OR o.setting ~* '^default_transaction_read_only=(on|true|yes|1|t|y)$'
        )
) AS d;

-- check: who may call
-- mends: BEGIN; GRANT budget_caller TO …; REVOKE ALL ON FUNCTION … FROM …; COMMIT
-- mends: Grant budget_caller to each role that calls by it, then: REVOKE ALL ON FUNCTION … FROM PUBLIC
-- mends: pgbudget migrate
WITH held (role, member) AS (
    SELECT g.rolname, m.rolname
    FROM pg_roles AS g
    LEFT JOIN pg_roles AS m
        ON
            m.oid <> g.oid AND NOT m.rolsuper
            AND pg_has_role(m.oid, g.oid, 'MEMBER')
    WHERE g.rolname IN ('budget_caller', 'budget_admin', 'budget_reader')
),

functions AS (
    SELECT
        p.oid, p.pronamespace, p.proname, p.proowner, a.grantee, a.grantor,
        starts_with(p.proname, '_') AS is_internal
    FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
    WHERE
        (
            p.pronamespace = to_regnamespace('budget')
            OR p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
        )
        AND a.grantee <> p.proowner
),

-- What a view calls, its readers must be able to execute.
of_views AS (
    SELECT d.refobjid
    FROM pg_depend AS d
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass
),

others AS (
    SELECT
        f.*, r.rolname,
        CASE WHEN f.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role_name,
        f.is_internal OR f.grantee = 0 OR r.rolname = 'anon'
        OR (r.rolname = 'authenticated' AND f.proname <> 'check_and_reserve_budget') AS is_wrong
    FROM functions AS f
    LEFT JOIN pg_roles AS r ON f.grantee = r.oid
    WHERE
        coalesce(r.rolname, '') NOT IN ('budget_caller', 'budget_admin', 'budget_reader')
        OR (f.is_internal AND NOT (r.rolname = 'budget_reader' AND f.oid IN (SELECT v.refobjid FROM of_views AS v)))
),

-- The role of ours that has what this one would lose, where it has not the rights of that role already.
instead AS (
    SELECT o.grantee, string_agg(DISTINCT g.role, ', ') AS roles
    FROM others AS o
    CROSS JOIN LATERAL (
        SELECT n.role
        FROM unnest(ARRAY['budget_caller', 'budget_admin', 'budget_reader']) WITH ORDINALITY AS n (role, place)
        INNER JOIN functions AS f ON f.grantee = to_regrole(n.role)
        WHERE
            f.oid = o.oid
            AND (n.role <> 'budget_reader' OR EXISTS (
                SELECT
                FROM pg_class AS c
                WHERE
                    c.relnamespace = to_regnamespace('budget') AND c.relkind = 'v'
                    AND has_table_privilege(o.grantee, c.oid, 'SELECT')
            ))
        ORDER BY n.place
        LIMIT 1
    ) AS g
    WHERE o.rolname NOT IN ('anon', 'authenticated') AND NOT pg_has_role(o.grantee, to_regrole(g.role), 'USAGE')
    GROUP BY o.grantee
),

-- What one role gave to another goes before what it has itself.
found AS (
    SELECT
        o.rolname, o.role_name, o.grantor = o.proowner AS is_by_owner,
        CASE WHEN bool_or(o.is_wrong) THEN 'wrong' ELSE 'note' END AS verdict,
        format(
            '%s may call %s%s', o.role_name, (array_agg(o.oid::regprocedure ORDER BY o.is_wrong DESC, o.oid))[1],
            CASE WHEN count(*) > 1 THEN format(' and %s more', count(*) - 1) ELSE '' END
        ) AS what,
        CASE WHEN o.grantor <> o.proowner THEN format('SET LOCAL ROLE %s', o.grantor::regrole) END AS as_grantor,
        CASE
            WHEN count(*) < 4 OR starts_with(o.rolname, 'budget_') THEN format(
                'REVOKE ALL ON FUNCTION %s FROM %s', string_agg(o.oid::regprocedure::text, ', ' ORDER BY o.oid), o.role_name
            )
            ELSE concat_ws(
                '; ', 'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA budget FROM ' || o.role_name,
                'REVOKE ALL ON FUNCTION '
                || string_agg(o.oid::regprocedure::text, ', ') FILTER (WHERE o.pronamespace <> to_regnamespace('budget'))
                || ' FROM ' || o.role_name
            )
        END AS revoke,
        (
            SELECT format(
                'GRANT %s TO %s%s', i.roles, o.role_name, CASE WHEN r.rolinherit THEN '' ELSE ' WITH INHERIT TRUE' END
            )
            FROM instead AS i
            INNER JOIN pg_roles AS r ON i.grantee = r.oid
            WHERE i.grantee = o.grantee
        ) AS instead,
        bool_and(r.rolinherit OR current_setting('server_version_num')::integer >= 160000) AS can_inherit
    FROM others AS o
    LEFT JOIN pg_roles AS r ON o.grantee = r.oid
    GROUP BY o.rolname, o.role_name, o.grantee, o.grantor, o.proowner
)

SELECT q.verdict, q.what, q.mend
FROM (
    SELECT
        f.verdict, f.what,
        CASE
            WHEN f.role_name = 'PUBLIC' THEN 'Grant budget_caller to each role that calls by it, then: ' || f.revoke
            WHEN f.rolname = 'authenticated' AND f.verdict = 'note' THEN 'If nobody who is signed in is to call it: ' || f.revoke
            WHEN f.instead IS NOT NULL AND NOT f.can_inherit THEN 'If it need not: ' || f.revoke
            WHEN coalesce(f.instead, f.as_grantor) IS NULL THEN f.revoke
            ELSE concat_ws('; ', 'BEGIN', f.instead, f.as_grantor, f.revoke, 'COMMIT')
        END AS mend
    FROM found AS f
    ORDER BY f.is_by_owner, f.role_name
) AS q
UNION ALL
SELECT
    'info', format('%s: %s', h.role, coalesce(string_agg(quote_ident(h.member), ', ' ORDER BY h.member), 'nobody')), NULL
FROM held AS h
GROUP BY h.role
UNION ALL
SELECT 'wrong', format('the role %s is missing', r), 'pgbudget migrate'
FROM unnest(ARRAY['budget_caller', 'budget_admin', 'budget_reader']) AS r
WHERE to_regrole(r) IS NULL;

-- check: who else may write the tables
-- mends: If it need not: REVOKE … ON … FROM …
WITH granted AS (
    SELECT c.oid, c.relowner, '' AS columns, a.privilege_type, a.grantee, a.grantor
    FROM pg_class AS c, aclexplode(c.relacl) AS a
    UNION ALL
    SELECT c.oid, c.relowner, format(' (%I)', t.attname), a.privilege_type, a.grantee, a.grantor
    FROM pg_class AS c
    INNER JOIN pg_attribute AS t ON c.oid = t.attrelid, aclexplode(t.attacl) AS a
)

SELECT
    CASE WHEN g.role_name IN ('PUBLIC', 'anon') THEN 'wrong' ELSE 'note' END,
    format('%s may %s %s', g.role_name, string_agg(g.privilege, ', ' ORDER BY g.privilege), g.oid::regclass),
    'If it need not: ' || CASE WHEN g.grantor <> g.relowner THEN format('SET ROLE %s; ', g.grantor::regrole) ELSE '' END
    || format('REVOKE %s ON %s FROM %s', string_agg(g.privilege, ', ' ORDER BY g.privilege), g.oid::regclass, g.role_name)
    || CASE WHEN g.grantor <> g.relowner THEN '; RESET ROLE' ELSE '' END
FROM (
    SELECT
        a.oid, a.relowner, a.grantor, a.privilege_type || a.columns AS privilege,
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role_name
    FROM granted AS a
    INNER JOIN pg_class AS c ON a.oid = c.oid
    WHERE
        c.relnamespace = to_regnamespace('public')
        AND c.relname IN ('cost_tracking', 'escalations', 'system_config', 'proposer_configs', 'work_orders')
        AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
        AND a.grantee <> a.relowner
) AS g
GROUP BY g.oid, g.relowner, g.grantor, g.role_name
ORDER BY g.grantor = g.relowner, g.oid::regclass::text, g.role_name;

-- check: functions' settings
SELECT
    'wrong', format('%s does not pin its search_path', p.oid::regprocedure),
    format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', p.oid::regprocedure)
FROM pg_proc AS p
WHERE
    (
        p.pronamespace = to_regnamespace('budget')
        OR p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
    )
    AND 'search_path=pg_catalog, pg_temp' <> ALL (coalesce(p.proconfig, '{}'))
UNION ALL
SELECT
    'wrong', format('%s runs with its caller''s rights', p.oid::regprocedure),
    format('ALTER FUNCTION %s SECURITY DEFINER', p.oid::regprocedure)
FROM pg_proc AS p
WHERE
    (
        (p.pronamespace = to_regnamespace('budget') AND NOT starts_with(p.proname, '_'))
        OR p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
    )
    AND NOT p.prosecdef;

-- check: owner
WITH things AS (
    SELECT 'FUNCTION ' || p.oid::regprocedure AS name, p.proowner AS owner
    FROM pg_proc AS p
    WHERE
        p.pronamespace = to_regnamespace('budget')
        OR p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
    UNION ALL
    SELECT CASE c.relkind WHEN 'c' THEN 'TYPE ' WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass, c.relowner
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('budget') AND c.relkind IN ('c', 'v', 'r')
    UNION ALL
    SELECT 'SCHEMA budget', n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'budget'
),

tables AS (
    SELECT c.oid, c.relowner, c.relname
    FROM pg_class AS c
    WHERE
        c.relnamespace = to_regnamespace('public')
        AND c.relname IN ('cost_tracking', 'escalations', 'system_config', 'proposer_configs', 'work_orders')
),

owners AS (
    SELECT DISTINCT r.oid, r.rolname
    FROM things AS t
    INNER JOIN pg_roles AS r ON t.owner = r.oid
    WHERE starts_with(t.name, 'FUNCTION')
)

SELECT
    'wrong',
    format(
        '%s belongs to %s, and the ledger to %s', (array_agg(t.name ORDER BY t.name))[1]
        || CASE WHEN count(*) > 1 THEN format(' (with %s more)', count(*) - 1) ELSE '' END,
        t.owner::regrole, l.relowner::regrole
    ),
    CASE
        -- It is one of the functions, so that whoever owns them would run code with the rights of who calls it.
        WHEN count(*) > 3 AND r.rolsuper THEN concat(
            (
                SELECT string_agg(format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s; ', o.oid::regclass, l.relowner::regrole), '')
                FROM tables AS o
                WHERE o.relowner <> l.relowner
            ),
            'SET pgbudget.accept_owner = on; SELECT budget._hand_over()'
        )
        ELSE 'SET lock_timeout = ''2s''; '
            || string_agg(format('ALTER %s OWNER TO %s', t.name, l.relowner::regrole), '; ' ORDER BY t.name)
    END
FROM things AS t
INNER JOIN tables AS l ON l.relname = 'cost_tracking' AND l.relowner <> t.owner
INNER JOIN pg_roles AS r ON t.owner = r.oid
GROUP BY t.owner, l.relowner, r.rolsuper
UNION ALL
SELECT
    'wrong', format('%I, with whose rights the functions run, may not read and write %s', o.rolname, t.oid::regclass),
    format('GRANT SELECT, INSERT, UPDATE ON %s TO %I', t.oid::regclass, o.rolname)
FROM owners AS o
CROSS JOIN tables AS t
WHERE
    NOT has_table_privilege(o.oid, t.oid, 'SELECT')
    OR (t.relname <> 'proposer_configs' AND NOT has_table_privilege(o.oid, t.oid, 'UPDATE'))
UNION ALL
SELECT
    'note',
    format(
        '%s belongs to %s, whose triggers run with the rights of %I when a function writes it',
        string_agg(t.oid::regclass::text, ', ' ORDER BY t.relname), r.oid::regrole, o.rolname
    ),
    -- It may be a role that writes there itself.
    format(
        'SET lock_timeout = ''2s''; BEGIN; %s; COMMIT',
        string_agg(
            format(
                'ALTER TABLE %s OWNER TO %I; GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s',
                t.oid::regclass, o.rolname, t.oid::regclass, r.oid::regrole
            ), '; ' ORDER BY t.relname
        )
    )
FROM owners AS o
CROSS JOIN tables AS t
INNER JOIN pg_roles AS r ON t.relowner = r.oid
WHERE t.relname <> 'cost_tracking' AND r.oid <> o.oid AND NOT r.rolsuper
GROUP BY o.rolname, r.oid
UNION ALL
SELECT 'info', 'functions run with the rights of ' || string_agg(quote_ident(o.rolname), ', '), NULL
FROM owners AS o
HAVING count(*) = 1;

-- check: code of others
SELECT 'wrong', concat_ws(' ', f.table_name, 'is', f.found), f.remedy
FROM budget._foreign_code() AS f;

-- check: who else may make triggers
SELECT
    'wrong',
    CASE r.right_name
        WHEN 'TRIGGER' THEN
            format('%s may put triggers on %s, which run with the rights of whoever writes it', r.grantee, r.table_name)
        ELSE format(
            '%s may have rows refer to %s and go with them, with triggers that run with the rights of whoever deletes',
            r.grantee, r.table_name
        )
    END,
    format('REVOKE %s ON %s FROM %s CASCADE', r.right_name, r.table_name, r.grantee)
FROM budget._code_rights() AS r
ORDER BY r.table_name, r.grantee, r.right_name;

-- check: roles
SELECT
    'wrong', format('the role %s can log in: it is for being granted, and somebody may know its password', r.rolname),
    format('ALTER ROLE %I NOLOGIN PASSWORD NULL', r.rolname)
FROM pg_roles AS r
WHERE r.rolname IN ('budget_caller', 'budget_admin', 'budget_reader') AND r.rolcanlogin
UNION ALL
SELECT
    'wrong', format('the role %s has attributes that its members could use: %s', r.rolname, lower(a.attributes)),
    format('ALTER ROLE %I %s', r.rolname, replace(' ' || a.attributes, ' ', ' NO'))
FROM pg_roles AS r
CROSS JOIN LATERAL (
    SELECT concat_ws(
        ' ',
        CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
        CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
        CASE WHEN r.rolreplication THEN 'REPLICATION' END
    ) AS attributes
) AS a
WHERE r.rolname IN ('budget_caller', 'budget_admin', 'budget_reader') AND a.attributes <> '';

-- check: tables
SELECT s.verdict, s.found, s.mend
FROM (
    SELECT 'wrong' AS verdict, format('public.%s is missing', t) AS found,
        'Run the migrations again as one file, which changes nothing else: pgbudget sql | psql "$DATABASE_URL"' AS mend
    FROM unnest(ARRAY['cost_tracking', 'escalations', 'system_config', 'proposer_configs', 'work_orders']) AS t
    WHERE to_regclass('public.' || t) IS NULL
    UNION ALL
    SELECT
        CASE WHEN c.oid IS NULL THEN 'wrong' ELSE 'note' END,
        format('the constraint %s is %s', n, CASE WHEN c.oid IS NULL THEN 'missing' ELSE 'not validated' END),
        CASE
            WHEN c.oid IS NULL THEN 'Run the migrations again as one file, which changes nothing else: pgbudget sql | psql "$DATABASE_URL"'
            ELSE format('If no row breaks it, such as a negative one: ALTER TABLE public.cost_tracking VALIDATE CONSTRAINT %I', n)
        END
    FROM unnest(ARRAY['budget_cost_in_range', 'budget_created_at_present', 'budget_expiry_of_hold']) AS n
    LEFT JOIN pg_constraint AS c ON c.conname = n AND c.conrelid = to_regclass('public.cost_tracking')
    WHERE to_regclass('public.cost_tracking') IS NOT NULL AND c.convalidated IS NOT TRUE
    UNION ALL
    SELECT
        'wrong', format('row security on %s hides rows from %I and so from the functions, which fail', c.oid::regclass, o.rolname),
        CASE
            WHEN pg_has_role(o.oid, c.relowner, 'USAGE')
                THEN format('SET lock_timeout = ''2s''; ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', c.oid::regclass)
            ELSE format('ALTER ROLE %I BYPASSRLS', o.rolname)
        END
    FROM pg_class AS c
    INNER JOIN pg_proc AS p ON p.oid = to_regprocedure('budget._reading()')
    INNER JOIN pg_roles AS o ON p.proowner = o.oid
    WHERE
        c.relnamespace = to_regnamespace('public')
        AND c.relname IN ('cost_tracking', 'escalations', 'system_config', 'proposer_configs', 'work_orders')
        AND c.relrowsecurity AND NOT o.rolbypassrls AND NOT o.rolsuper
        AND (c.relforcerowsecurity OR NOT pg_has_role(o.oid, c.relowner, 'USAGE'))
) AS s;

-- check: triggers
SELECT
    'wrong',
    format(
        'the trigger %s %s: direct writers may break the life of a hold', n,
        CASE WHEN t.oid IS NULL THEN 'is missing' ELSE 'is switched off' END
    ),
    CASE
        WHEN t.oid IS NULL THEN 'Run the migrations again as one file, which changes nothing else: pgbudget sql | psql "$DATABASE_URL"'
        ELSE format('SET lock_timeout = ''2s''; ALTER TABLE public.cost_tracking ENABLE TRIGGER %I', n)
    END
FROM unnest(ARRAY['budget_guard_hold', 'budget_adopt_hold']) AS n
LEFT JOIN pg_trigger AS t ON t.tgname = n AND t.tgrelid = to_regclass('public.cost_tracking')
WHERE coalesce(t.tgenabled, 'D') NOT IN ('O', 'A');

-- check: limits
SELECT s.verdict, s.found, s.mend
FROM budget.status AS b
CROSS JOIN LATERAL (
    VALUES
    (
        b.config_error IS NOT NULL, 'wrong', 'every reservation is refused: ' || b.config_error,
        'Write them anew, all in one call: pgbudget limits set emergency_kill=AMOUNT and what else they are to be.'
    ),
    (
        cardinality(b.unknown_keys) > 0, 'note', 'nothing enforces: ' || array_to_string(b.unknown_keys, ', '),
        'Look for a misspelt key in system_config.budget_limits, and take it out of that JSON.'
    )
) AS s (applies, verdict, found, mend)
WHERE s.applies;

-- check: freeze
SELECT 'wrong', 'frozen, every reservation is refused: ' || coalesce(b.frozen_reason, 'no reason given'), 'pgbudget unfreeze'
FROM budget.status AS b
WHERE b.frozen;

-- check: time zone
SELECT
    CASE WHEN z.name IS NULL THEN 'wrong' ELSE 'info' END,
    format('the day is that of %s, and ends at %s UTC', b.timezone, to_char(b.resets_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')),
    CASE WHEN z.name IS NULL THEN 'This server does not know the zone by that name. Give it one of pg_timezone_names: pgbudget limits set timezone=ZONE.' END
FROM budget.status AS b
LEFT JOIN pg_timezone_names AS z ON lower(b.timezone) = lower(z.name);

-- check: invariants
SELECT
    'wrong',
    format('%s (%s times, as in %s: %s)', i.rule, count(*), coalesce(min(i.id::text), 'no row'), min(i.detail)),
    CASE i.rule
        WHEN 'a balance is the sum of its ledger rows' THEN 'SELECT * FROM budget.reconcile()'
        ELSE 'Something wrote past the functions and triggers: look at these rows, and settle or delete them.'
    END
FROM budget.invariants AS i
GROUP BY i.rule
ORDER BY i.rule;

-- check: lapsed holds
SELECT
    'note',
    format('%s holds have lapsed and are not marked, the oldest on %s', count(*), min(l.expires_at)::date),
    'They count nothing. From cron: pgbudget expire --all'
FROM public.cost_tracking AS l
WHERE l.expires_at <= clock_timestamp()
HAVING count(*) > 0;

-- check: columns
SELECT 'wrong', concat_ws('.', 'public', f.table_name, f.column_name) || ' is ' || f.found, f.remedy
FROM budget._preflight() AS f
WHERE f.column_name IS NOT NULL AND f.found NOT LIKE '% (rows: %' AND f.found NOT LIKE 'used by %'
UNION ALL
SELECT
    'wrong',
    format(
        'cost_tracking.%I is %s, and rounds what the functions decided', a.attname, format_type(a.atttypid, a.atttypmod)
    ),
    coalesce(
        (
            SELECT
                format(
                    'psql "$DATABASE_URL" -c ''DROP VIEW %s'' && pgbudget sql | psql "$DATABASE_URL"%s',
                    string_agg(DISTINCT r.ev_class::regclass::text, ', '),
                    CASE
                        WHEN to_regclass('budget.budgets') IS NOT NULL
                            THEN ' && pgbudget sql --series budgets | psql "$DATABASE_URL"'
                    END
                )
            FROM pg_depend AS d
            INNER JOIN pg_rewrite AS r ON d.objid = r.oid
            WHERE
                d.classid = 'pg_rewrite'::regclass
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                AND r.ev_class <> a.attrelid
            HAVING count(*) > 0
        ), 'Run the migrations again as one file, which widens it: pgbudget sql | psql "$DATABASE_URL"'
    )
FROM pg_attribute AS a
WHERE
    a.attrelid = to_regclass('public.cost_tracking')
    AND a.attname IN ('cost', 'created_at')
    AND a.atttypmod <> -1;

-- check: unlogged tables
SELECT
    'wrong', format('%s is UNLOGGED: a crash empties it', c.oid::regclass),
    format(
        'While little goes on, for it writes the table anew: SET lock_timeout = ''2s''; ALTER TABLE %s SET LOGGED', c.oid::regclass
    )
FROM pg_class AS c
WHERE
    c.relkind = 'r' AND c.relpersistence = 'u'
    AND (
        c.relnamespace = to_regnamespace('budget')
        OR (
            c.relnamespace = to_regnamespace('public')
            AND c.relname IN ('cost_tracking', 'escalations', 'system_config', 'proposer_configs', 'work_orders')
        )
    );

-- check: code of the application on the ledger
SELECT
    'wrong', format('rules on cost_tracking, with which every call ends with 0A000: %s', string_agg(quote_ident(r.rulename), ', ')),
    'SET lock_timeout = ''2s''; ' || string_agg(format('DROP RULE %I ON public.cost_tracking', r.rulename), '; ')
FROM pg_rewrite AS r
WHERE r.ev_class = to_regclass('public.cost_tracking') AND r.ev_type IN ('2', '3')
HAVING count(*) > 0
UNION ALL
SELECT
    'wrong',
    format(
        'cost_tracking has child tables, whose rows no trigger or constraint of pgbudget watches: %s',
        string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text)
    ),
    'Move their rows into the ledger itself, drop the trigger that fills them, and take them out: ALTER TABLE … NO INHERIT public.cost_tracking.'
FROM pg_inherits AS i
WHERE i.inhparent = to_regclass('public.cost_tracking')
HAVING count(*) > 0
UNION ALL
SELECT
    'note',
    format(
        'triggers of the application may change or swallow what is written to cost_tracking, and then the call ends with '
        'PB006: %s', string_agg(quote_ident(t.tgname), ', ' ORDER BY t.tgname)
    ),
    'See that each leaves id, service_name, cost, created_at and expires_at as they are, and returns NEW.'
FROM pg_trigger AS t
INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
WHERE
    t.tgrelid = to_regclass('public.cost_tracking')
    AND NOT t.tgisinternal
    AND t.tgenabled IN ('O', 'A')
    AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0 -- BEFORE INSERT OR UPDATE FOR EACH ROW
    AND p.pronamespace <> to_regnamespace('budget')
HAVING count(*) > 0;

-- check: settings as they were last set
-- Every change is noted, and a restore of rows alone may keep the note and lose the setting.
WITH noted AS (
    SELECT DISTINCT ON (e.kind) e.kind, e.created_at, e.context ->> 'new' AS value
    FROM budget.escalations AS e
    WHERE e.kind = 'budget_limits_changed'
    ORDER BY e.kind, e.created_at DESC
)

SELECT
    'note',
    format(
        'the limits are not those that were last set with budget.set_limits, at %s UTC: %s',
        to_char(n.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), n.value
    ),
    format(
        'If they were lost, as by a restore over a migrated database: SELECT * FROM budget.set_limits(%L)', n.value
    )
FROM noted AS n
LEFT JOIN public.system_config AS c ON c.key = 'budget_limits'
WHERE n.value IS DISTINCT FROM c.value;

-- check: autovacuum
WITH ledger AS (
    SELECT
        c.oid, t.n_dead_tup AS dead, greatest(t.last_vacuum, t.last_autovacuum) AS vacuumed,
        least(
            coalesce(o.own ->> 'autovacuum_vacuum_threshold', current_setting('autovacuum_vacuum_threshold'))::numeric
            + coalesce(o.own ->> 'autovacuum_vacuum_scale_factor', current_setting('autovacuum_vacuum_scale_factor'))::numeric
            * greatest(c.reltuples, 0)::numeric,
            -- From PostgreSQL 18 on; -1 is none.
            nullif(
                coalesce(
                    o.own ->> 'autovacuum_vacuum_max_threshold', current_setting('autovacuum_vacuum_max_threshold', true)
                )::numeric, -1
            )
        ) AS threshold,
        coalesce((o.own ->> 'autovacuum_enabled')::boolean, true) AS is_wanted,
        current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS is_on
    FROM pg_class AS c
    INNER JOIN pg_stat_all_tables AS t ON c.oid = t.relid
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_object_agg(r.option_name, r.option_value), '{}') AS own
        FROM pg_options_to_table(c.reloptions) AS r
    ) AS o
    WHERE c.oid = to_regclass('public.cost_tracking')
)

SELECT
    'note', format('autovacuum is switched off for %s', l.oid::regclass),
    format('ALTER TABLE %s RESET (autovacuum_enabled)', l.oid::regclass)
FROM ledger AS l
WHERE NOT l.is_wanted
UNION ALL
SELECT
    'note',
    format(
        '%s dead rows in %s wait for autovacuum, which comes at %s; last vacuumed: %s%s', l.dead, l.oid::regclass,
        round(l.threshold), coalesce(l.vacuumed::timestamp(0)::text, 'never'),
        (
            SELECT '; at this moment kept off by ' || string_agg(DISTINCT coalesce('session ' || k.pid, 'a prepared transaction'), ', ')
            FROM pg_locks AS k
            WHERE
                k.relation = l.oid AND k.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                AND k.mode IN (
                    'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
                )
        )
    ),
    format(
        'Have callers use budget.reserve_advisory, whose lock autovacuum can share, or shorten what holds locks so long; '
        'and once, while little goes on: VACUUM (ANALYZE) %s', l.oid::regclass
    )
FROM ledger AS l
WHERE
    l.is_wanted AND l.is_on AND l.dead >= 1000 AND l.dead >= 2 * l.threshold
    AND coalesce(l.vacuumed, '-infinity') < clock_timestamp() - interval '10 minutes';
