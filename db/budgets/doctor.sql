-- What `pgbudget doctor` looks at where this series is applied, in the form of core's doctor.sql. Balances that are not
-- the sum of their ledger rows are among core's invariants.

-- check: triggers of the balances
SELECT
    'wrong',
    format(
        'the trigger %s %s: what is written is missing from the balances', n.name,
        CASE WHEN t.oid IS NULL THEN 'is missing' ELSE 'is switched off' END
    ),
    CASE
        WHEN t.oid IS NULL THEN 'pgbudget sql --series budgets | psql "$DATABASE_URL" && psql "$DATABASE_URL" -c ''SELECT * FROM budget.reconcile()'''
        ELSE format(
            'SET lock_timeout = ''2s''; ALTER TABLE %s ENABLE TRIGGER %I; SELECT * FROM budget.reconcile()', n.relation, n.name
        )
    END
FROM (
    VALUES
    ('budget_post_insert', 'public.cost_tracking'),
    ('budget_post_update', 'public.cost_tracking'),
    ('budget_post_delete', 'public.cost_tracking'),
    ('budget_post_truncate', 'public.cost_tracking'),
    ('budget_rezone', 'public.system_config')
) AS n (name, relation)
LEFT JOIN pg_trigger AS t ON t.tgname = n.name AND t.tgrelid = to_regclass(n.relation)
WHERE coalesce(t.tgenabled, 'D') NOT IN ('O', 'A');

-- check: indexes of the balances
SELECT
    'wrong', format('the index %s is missing or invalid: %s', n.name, n.meant_for),
    'Run the migrations again as one file, which changes nothing else: pgbudget sql --series budgets | psql "$DATABASE_URL"'
FROM (
    VALUES
    ('public.budget_expiry_idx', 'each decision reads the ledger for lapsed holds'),
    ('budget.postings_balance_idx', 'each decision reads all postings')
) AS n (name, meant_for)
LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass(n.name)
WHERE i.indisvalid IS NOT TRUE;

-- check: postings
SELECT
    'note',
    format(
        '%s postings to budget %s, member %s, are not folded in: nobody reserves from it, and whoever writes reads them',
        count(*), p.budget, p.member
    ),
    'From cron: SELECT budget.prune()'
FROM budget.budgets AS b
INNER JOIN budget.postings AS p ON b.name = p.budget
GROUP BY p.budget, p.member, p.starts_at
HAVING count(*) >= 1000
ORDER BY count(*) DESC
LIMIT 10;

-- check: old snapshots
SELECT
    'note',
    format(
        'session %s (%s) keeps a snapshot from %s transactions ago: what was posted since then and folded in cannot be '
        'removed, and decisions read past it',
        a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type), age(a.backend_xmin)
    ),
    format('If it need not go on: SELECT pg_terminate_backend(%s)', a.pid)
FROM pg_stat_activity AS a
WHERE
    a.pid <> pg_backend_pid()
    AND (a.datname = current_database() OR a.datname IS NULL)
    AND age(a.backend_xmin) >= 10000;

-- check: slots
SELECT
    'note',
    format('budget %s has %s slots, more than the %s sessions that there can be', b.name, b.slots, m.connections),
    'Each slot is a row to lock and a share of the room. With fewer: '
    || format('pgbudget budgets set --slots %s -- %s', m.connections, n.quoted)
FROM budget.budgets AS b
CROSS JOIN (SELECT current_setting('max_connections')::integer AS connections) AS m
CROSS JOIN LATERAL (SELECT '''' || replace(b.name, '''', '''\''''') || '''' AS quoted) AS n -- as a shell reads it
WHERE b.slots > m.connections
UNION ALL
SELECT
    'note',
    format('budget %s has %s slots for each of %s members', b.name, b.slots, count(DISTINCT o.member)),
    'Slots are for a budget that many sessions reserve from at once. With one for each: '
    || format('pgbudget budgets set --slots 1 -- %s', min(n.quoted))
FROM budget.budgets AS b
INNER JOIN budget.balances AS o ON b.name = o.budget
CROSS JOIN LATERAL (SELECT '''' || replace(b.name, '''', '''\''''') || '''' AS quoted) AS n
WHERE b.slots > 1
GROUP BY b.name
HAVING count(DISTINCT o.member) >= 100;

-- check: subscriptions
SELECT
    'wrong',
    format(
        'the subscription %I writes cost_tracking: what it applies fires no trigger of a statement, and reaches no balance',
        s.subname
    ),
    'Decide where the rows are first written. Once this database is to decide itself, drop the subscription, and then: '
    'SELECT * FROM budget.reconcile()'
FROM pg_subscription AS s
INNER JOIN pg_subscription_rel AS r ON s.oid = r.srsubid
WHERE r.srrelid = to_regclass('public.cost_tracking') AND s.subdbid = (
    SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()
);

-- check: replica identity
SELECT
    'wrong', format('%s has no replica identity: under a publication of all tables every call ends with 55000', c.oid::regclass),
    format('SET lock_timeout = ''2s''; ALTER TABLE %s REPLICA IDENTITY FULL', c.oid::regclass)
FROM pg_class AS c
WHERE
    c.relnamespace = to_regnamespace('budget') AND c.relkind = 'r'
    AND NOT (
        c.relreplident = 'f'
        OR EXISTS (
            SELECT
            FROM pg_index AS i
            WHERE
                i.indrelid = c.oid
                AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
        )
    );

-- check: budgets as they were last set
-- Every change is noted, and a restore of rows alone may keep the note and lose the budget.
WITH noted AS (
    SELECT DISTINCT ON (b.name) b.*, e.kind, e.created_at
    FROM budget.escalations AS e
    CROSS JOIN LATERAL jsonb_populate_record(
        NULL::budget.budgets, coalesce(e.context ->> 'new', e.context ->> 'old')::jsonb
    ) AS b
    WHERE e.kind IN ('budget_changed', 'budget_dropped')
    ORDER BY b.name, e.created_at DESC
)

SELECT
    'wrong',
    format(
        'the budget %s, set at %s UTC, is not there',
        n.name, to_char(n.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
    ),
    format(
        'If it was lost, as by a restore over a migrated database: SELECT * FROM budget.set_budget('
        '%L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L)',
        n.name, n.limit_amount, n.dimension, CASE WHEN n.dimension <> '*' THEN n.member END, n.period, n.timezone,
        n.soft_limits, n.enforcement, n.is_active, n.slots, r.extra, r.extra_until
    )
FROM noted AS n
LEFT JOIN budget.budgets AS b ON n.name = b.name
LEFT JOIN LATERAL (SELECT n.extra, n.extra_until WHERE n.extra_until > clock_timestamp()) AS r ON true
WHERE n.kind = 'budget_changed' AND b.name IS NULL;
