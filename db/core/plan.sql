-- What the pending migrations would do to the very database that is asked: for `pgbudget migrate --plan`, which makes
-- these functions in pg_temp, beside the chain's own _preflight, and rolls the transaction back. They only read.
-- Migrations are named by their numbers.

-- Whatever would stop a migration, with what to do about it. p_callers are the roles that would get budget_caller.
CREATE FUNCTION pg_temp._stops(p_pending text[], p_callers text[])
RETURNS TABLE (migration text, found text, remedy text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    c_me CONSTANT pg_roles := (SELECT r FROM pg_roles AS r WHERE r.rolname = current_user);
    c_version CONSTANT integer := current_setting('server_version_num');
    c_schema CONSTANT regnamespace := to_regnamespace('budget');
    c_old CONSTANT regprocedure := to_regprocedure('public.check_and_reserve_budget_before_pgbudget(numeric, text, jsonb)');
    c_missing_roles CONSTANT text := (
        SELECT string_agg('CREATE ROLE ' || r, '; ')
        FROM unnest(ARRAY['budget_caller', 'budget_admin', 'budget_reader']) AS r
        WHERE to_regrole(r) IS NULL
    );
BEGIN
    RETURN QUERY
    SELECT s.migration, s.found, s.remedy
    FROM (
        VALUES
        (
            '0001', c_version < 150000,
            'the server is PostgreSQL ' || current_setting('server_version'),
            'pgbudget needs PostgreSQL 15 or newer.'
        ),
        (
            '0001', c_schema IS NULL AND NOT has_database_privilege(current_database(), 'CREATE'),
            format('%I may not make the schema budget', current_user),
            format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)
        ),
        (
            '0001',
            c_schema IS NOT NULL AND coalesce(obj_description(c_schema, 'pg_namespace'), '') NOT LIKE 'pgbudget:%',
            'the schema budget that is there is not of pgbudget',
            'Drop it if it is empty, or rename it: ALTER SCHEMA budget RENAME TO another_name'
        ),
        (
            '0001', c_missing_roles IS NOT NULL AND NOT (c_me.rolcreaterole OR c_me.rolsuper),
            format('%I may not make roles, and some are missing', current_user),
            'Let one who may run: ' || c_missing_roles
        ),
        (
            '0002', NOT has_schema_privilege('public', 'CREATE'),
            format('%I may not make anything in the schema public', current_user),
            format('GRANT CREATE ON SCHEMA public TO %I', current_user)
        )
    ) AS s (migration, applies, found, remedy)
    WHERE s.applies AND s.migration = ANY (p_pending);

    RETURN QUERY
    SELECT
        NULL, format('%I may not grant budget_caller to %s', current_user, string_agg(quote_ident(c), ', ')),
        format('GRANT budget_caller TO %I WITH ADMIN OPTION', current_user)
    FROM unnest(p_callers) AS c
    -- Where there is no budget_caller yet, it will be the migrating role's own to grant.
    WHERE
        NOT pg_has_role(to_regrole(quote_ident(c)), to_regrole('budget_caller'), 'MEMBER')
        AND NOT pg_has_role(current_user, to_regrole('budget_caller'), 'MEMBER WITH ADMIN OPTION')
        AND NOT (c_version < 160000 AND c_me.rolcreaterole)
    HAVING count(*) > 0;

    IF '0004' = ANY (p_pending) AND '0002' <> ALL (p_pending) THEN
        RETURN QUERY
        SELECT '0004', concat_ws('.', 'public', f.table_name) || ' is ' || f.found, f.remedy
        FROM pg_temp._foreign_code() AS f
        ORDER BY f.table_name, f.found;
    END IF;

    IF '0002' = ANY (p_pending) THEN
        BEGIN
            RETURN QUERY
            SELECT '0002', concat_ws('.', 'public', f.table_name, f.column_name) || ' is ' || f.found, f.remedy
            FROM pg_temp._preflight() AS f
            ORDER BY f.table_name, f.column_name, f.found;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN QUERY
            SELECT
                '0002', SQLERRM,
                format('No row may be hidden from %I: give it BYPASSRLS, or take FORCE ROW LEVEL SECURITY away.', current_user);
        END;
    END IF;

    IF '0004' = ANY (p_pending) THEN
        RETURN QUERY
        SELECT
            '0004', s.found, s.remedy
        FROM (SELECT pg_temp._adopted_function() AS oid) AS f
        INNER JOIN pg_proc AS p ON f.oid = p.oid
        CROSS JOIN LATERAL (
            VALUES
            (
                NOT pg_has_role(p.proowner, 'USAGE'),
                format('%s is owned by %s', f.oid, p.proowner::regrole),
                format('Migrate as %s, or as a role that is a member of it.', p.proowner::regrole)
            ),
            (
                c_old IS NOT NULL,
                format('%s is there, and so is %s', f.oid, c_old),
                'Drop the one that nobody calls.'
            )
        ) AS s (applies, found, remedy)
        WHERE s.applies;
    END IF;
END
$function$;

-- What the rows say. Tables that are missing count nothing; shapes that are wrong make it fail.
CREATE FUNCTION pg_temp._figures(
    OUT limits jsonb, -- NULL without a row, 'null' where it is not JSON
    OUT ttl interval,
    OUT row_count bigint,
    OUT negative bigint,
    OUT spent_today numeric,
    OUT holds bigint, -- open ones of today
    OUT held numeric,
    OUT lapsed bigint, -- of these, past their expiry
    OUT older_holds bigint
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
DECLARE
    v_today timestamptz := date_trunc('day', now(), 'UTC');
BEGIN
    ttl := '1 hour';
    BEGIN
        IF to_regclass('public.system_config') IS NOT NULL THEN
            limits := 'null';
            limits := (SELECT c.value::jsonb FROM public.system_config AS c WHERE c.key = 'budget_limits');
            v_today := date_trunc('day', now(), coalesce(limits ->> 'timezone', 'UTC'));
            ttl := coalesce(limits ->> 'reservation_ttl', '1 hour');
        END IF;
    EXCEPTION WHEN data_exception THEN
        NULL; -- broken limits stop nothing but the reservations
    END;
    IF to_regclass('public.cost_tracking') IS NULL THEN
        row_count := 0;
        spent_today := 0;
        holds := 0;
        RETURN;
    END IF;
    SELECT
        count(*),
        count(*) FILTER (WHERE l.cost < 0),
        coalesce(sum(l.cost) FILTER (WHERE r.is_today), 0),
        count(*) FILTER (WHERE r.is_hold AND r.is_today),
        sum(l.cost) FILTER (WHERE r.is_hold AND r.is_today),
        count(*) FILTER (WHERE r.is_hold AND r.is_today AND l.created_at + ttl <= now()),
        count(*) FILTER (WHERE r.is_hold AND NOT r.is_today)
    INTO row_count, negative, spent_today, holds, held, lapsed, older_holds
    FROM public.cost_tracking AS l
    CROSS JOIN LATERAL (
        SELECT
            l.created_at >= v_today AS is_today,
            -- By way of JSON, because the column may not be there yet.
            l.metadata ->> 'type' = 'reservation' AND to_jsonb(l) ->> 'expires_at' IS NULL AS is_hold
    ) AS r;
END
$function$;

-- Who may call the adopted function now, and afterwards.
CREATE FUNCTION pg_temp._callers(p_callers text[])
RETURNS TABLE (role_name text, keeps boolean)
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT quote_ident(r.rolname), r.keeps
    FROM (SELECT pg_temp._adopted_function() AS oid) AS f
    CROSS JOIN LATERAL (
        SELECT
            r.oid, r.rolname,
            quote_ident(r.rolname) IN (SELECT k.role_name FROM pg_temp._former_callers(f.oid) AS k) AS keeps
        FROM pg_roles AS r
        WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND has_function_privilege(r.oid, f.oid, 'EXECUTE')
    ) AS r
    -- A caller by membership, and whoever has the rights of the new owner, lose nothing.
    WHERE
        r.keeps
        OR NOT EXISTS (
            SELECT
            FROM unnest(p_callers || ARRAY['budget_caller', 'budget_admin', current_user]::text[]) AS c
            WHERE pg_has_role(r.oid, to_regrole(quote_ident(c)), 'USAGE')
        )
    ORDER BY r.rolname
$function$;

-- A note says what a migration 'does' here, what to 'expect' of it, or what 'stops' it, with a remedy.
CREATE FUNCTION pg_temp._plan(p_pending text[], p_grant_to text[])
RETURNS TABLE (migration text, kind text, note text, remedy text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_ledger CONSTANT regclass := to_regclass('public.cost_tracking');
    c_escalations CONSTANT regclass := to_regclass('public.escalations');
    c_index CONSTANT regclass := to_regclass('public.budget_day_idx');
    c_adopted CONSTANT regprocedure := pg_temp._adopted_function();
    c_service_role CONSTANT text[] := ARRAY(
        SELECT r.rolname::text
        FROM pg_roles AS r
        WHERE
            r.rolname = 'service_role'
            AND '0001' = ANY (p_pending)
            AND pg_has_role(r.oid, to_regrole('budget_caller'), 'MEMBER') IS NOT TRUE
    );
    c_lacks_reason CONSTANT boolean := c_escalations IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c_escalations AND a.attname = 'reason');
    -- Tables from which rights of others are taken.
    c_opened CONSTANT regclass[] := ARRAY(SELECT r.table_name::regclass FROM pg_temp._code_rights() AS r);
    v_limits text;
    v_unknown_keys text;
    -- Until they have been counted.
    v_rows text := 'all';
    v_negative text;
    v_holds text := 'open reservations of today get an expiry';
    v_lapsed text;
    v_older text;
BEGIN
    RETURN QUERY
    SELECT s.migration, 'stops', s.found, s.remedy FROM pg_temp._stops(p_pending, p_grant_to || c_service_role) AS s;
    IF NOT FOUND THEN
        SELECT
            CASE
                WHEN f.limits IS NULL THEN 'system_config.budget_limits is missing: written, with the limits that pgbudget begins with'
                WHEN jsonb_typeof(f.limits -> 'emergency_kill') = 'number' THEN format(
                    'system_config.budget_limits is there: kept. Its limit is %s a day, of which %s are used today',
                    f.limits -> 'emergency_kill', trim_scale(f.spent_today)
                )
                ELSE 'system_config.budget_limits is there, without a number as emergency_kill: kept, and every reservation '
                    'is refused until budget.set_limits mends it'
            END,
            (
                SELECT string_agg(k, ', ' ORDER BY k)
                FROM jsonb_object_keys(CASE WHEN jsonb_typeof(f.limits) = 'object' THEN f.limits ELSE '{}' END) AS k
                WHERE
                    k NOT IN (
                        'daily_soft_cap', 'daily_hard_cap', 'emergency_kill',
                        'timezone', 'reservation_ttl', 'on_expiry', 'exempt_services'
                    )
            ),
            f.row_count,
            nullif(f.negative, 0),
            CASE
                WHEN f.holds = 0 THEN 'no reservation of today is open'
                ELSE format(
                    'open reservations of today, %s with together %s: each lapses %s after it was made',
                    f.holds, trim_scale(f.held), f.ttl
                )
            END,
            nullif(f.lapsed, 0) || ' of these are older than that already, and count nothing any more',
            'older reservations that nothing ended: history, they stay as they are: ' || nullif(f.older_holds, 0)
        INTO v_limits, v_unknown_keys, v_rows, v_negative, v_holds, v_lapsed, v_older
        FROM pg_temp._figures() AS f;
    END IF;

    -- A note that does not apply is NULL, as is what is concatenated with a list that is empty.
    RETURN QUERY
    SELECT n.migration, n.kind, n.note, NULL
    FROM (
        VALUES
        ('0001', 'does', CASE WHEN to_regnamespace('budget') IS NULL THEN 'schema budget is missing: made' END),
        (
            '0001', 'does',
            'roles that are missing, and made for the whole cluster: ' || (
                SELECT string_agg(r, ', ')
                FROM unnest(ARRAY['budget_caller', 'budget_admin', 'budget_reader']) AS r
                WHERE to_regrole(r) IS NULL
            )
        ),
        ('0001', 'does', 'budget_caller is granted to ' || c_service_role[1]),
        (
            '0001', 'expect',
            'roles that are there already and can log in; somebody may know their passwords: ' || (
                SELECT string_agg(format('ALTER ROLE %I NOLOGIN PASSWORD NULL', r.rolname), '; ' ORDER BY r.rolname)
                FROM pg_roles AS r
                WHERE r.rolname IN ('budget_caller', 'budget_admin', 'budget_reader') AND r.rolcanlogin
            )
        ),
        (
            '0002', 'does',
            'tables that are missing, and made empty: ' || (
                SELECT string_agg(t, ', ')
                FROM unnest(ARRAY['cost_tracking', 'escalations', 'work_orders', 'system_config', 'proposer_configs']) AS t
                WHERE to_regclass('public.' || t) IS NULL
            )
        ),
        (
            '0002', 'does',
            (
                SELECT format('cost_tracking.cost is %s: widened to numeric, no rewrite', format_type(a.atttypid, a.atttypmod))
                FROM pg_attribute AS a
                WHERE
                    a.attrelid = c_ledger AND a.attname = 'cost'
                    AND a.atttypid = 'numeric'::regtype AND a.atttypmod <> -1
            )
        ),
        (
            '0002', 'does',
            (
                SELECT format(
                    'cost_tracking.created_at is %s, which rounds a hold of the day''s last moment into the next day: '
                    'widened to timestamptz, no rewrite', format_type(a.atttypid, a.atttypmod)
                )
                FROM pg_attribute AS a
                WHERE
                    a.attrelid = c_ledger AND a.attname = 'created_at'
                    AND a.atttypid = 'timestamptz'::regtype AND a.atttypmod <> -1
            )
        ),
        (
            '0002', 'does',
            CASE
                WHEN c_ledger IS NOT NULL
                    AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c_ledger AND a.attname = 'expires_at')
                    THEN 'cost_tracking.expires_at is missing: added, no rewrite'
            END
        ),
        (
            '0002', 'does',
            CASE
                WHEN c_ledger IS NOT NULL
                    AND NOT EXISTS (
                        SELECT FROM pg_constraint AS c WHERE c.conrelid = c_ledger AND c.conname = 'budget_cost_in_range'
                    )
                    THEN 'cost_tracking gets CHECK constraints for new rows: 0 <= cost < 1e15, created_at not NULL, '
                        'expires_at in reservations alone'
            END
        ),
        ('0002', 'does', CASE WHEN c_lacks_reason THEN 'escalations.reason is missing: added, no rewrite' END),
        (
            '0002', 'does',
            'rights with which others could run code with ours are taken from: ' || (
                SELECT string_agg(format('%s (%s)', g.grantee, g.rights), '; ' ORDER BY g.grantee)
                FROM (
                    SELECT r.grantee, string_agg(r.right_name || ' on ' || r.table_name, ', ' ORDER BY r.table_name) AS rights
                    FROM pg_temp._code_rights() AS r
                    GROUP BY r.grantee
                ) AS g
            )
        ),
        ('0002', 'does', v_limits),
        ('0002', 'expect', 'nothing enforces these keys of budget_limits: ' || v_unknown_keys),
        (
            '0002', 'expect',
            'for milliseconds nobody else uses '
            || (
                SELECT string_agg(c.oid::regclass::text, ' and ' ORDER BY c.oid <> c_ledger, c.relname)
                FROM pg_class AS c
                WHERE
                    c_ledger IS NOT NULL
                    AND (
                        c.oid = c_ledger
                        OR (c.oid = c_escalations AND c_lacks_reason)
                        OR c.oid = ANY (c_opened)
                    )
                    AND c.relnamespace = 'public'::regnamespace
            )
            || '; the lock is asked for in tries of 250 ms, for at most 30 s'
        ),
        ('0003', 'does', 'functions and views are made in schema budget; they are for members of the three roles'),
        (
            '0003', 'does',
            (
                SELECT format('all of it belongs to %s, the owner of the ledger', r.oid::regrole)
                FROM pg_roles AS r
                WHERE r.oid = pg_temp._ledger_owner() AND r.rolname <> current_user
            )
        ),
        ('0004', 'does', 'triggers on cost_tracking hold a hold to its states, whoever writes; writers wait for milliseconds'),
        (
            '0004', 'expect',
            'calls end with PB006 where a trigger of yours on cost_tracking swallows or changes their row, and these may: ' || (
                SELECT string_agg(quote_ident(t.tgname), ', ' ORDER BY t.tgname)
                FROM pg_trigger AS t
                WHERE
                    t.tgrelid = c_ledger AND NOT t.tgisinternal AND t.tgname NOT LIKE 'budget\_%'
                    AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0 -- BEFORE INSERT OR UPDATE FOR EACH ROW
            )
        ),
        (
            '0004', 'expect',
            'triggers of yours run with the rights of ' || pg_temp._ledger_owner()::regrole || ' when a reservation writes: '
            'names without a schema are not found in their functions, or, where these set a search_path that does not end '
            'in pg_temp, are the caller''s: ' || (
                SELECT string_agg(format('%I (%s)', t.tgname, p.oid::regprocedure), ', ' ORDER BY t.tgname)
                FROM pg_trigger AS t
                INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
                WHERE
                    t.tgrelid IN (
                        c_ledger, c_escalations, to_regclass('public.work_orders'), to_regclass('public.system_config')
                    )
                    AND NOT t.tgisinternal
                    AND p.pronamespace <> 'pg_catalog'::regnamespace
                    AND p.pronamespace IS DISTINCT FROM to_regnamespace('budget')
                    AND NOT EXISTS (
                        SELECT FROM unnest(p.proconfig) AS s WHERE s ~ '^search_path=(.*, *)?"?pg_temp"?$'
                    )
            )
        ),
        ('0004', 'does', c_adopted || ' of yours is renamed to check_and_reserve_budget_before_pgbudget; ours takes its place'),
        (
            '0004', 'does',
            'roles that keep EXECUTE, for they may write the ledger: '
            || (SELECT string_agg(c.role_name, ', ') FROM pg_temp._callers(p_grant_to || c_service_role) AS c WHERE c.keeps)
        ),
        (
            '0004', 'expect',
            'roles that lose EXECUTE, until budget_caller is granted to them: '
            || (SELECT string_agg(c.role_name, ', ') FROM pg_temp._callers(p_grant_to || c_service_role) AS c WHERE NOT c.keeps)
        ),
        (
            '0004', 'expect',
            'bound to your function, not to its name, and so to be made again afterwards: ' || (
                SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ')
                FROM pg_depend AS d
                WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = c_adopted
            )
        ),
        (
            '0004', 'expect',
            'a call that fits ours as well becomes ambiguous with: ' || (
                SELECT string_agg(p.oid::regprocedure::text, ', ')
                FROM pg_proc AS p
                WHERE
                    p.pronamespace = 'public'::regnamespace AND p.proname = 'check_and_reserve_budget'
                    AND p.oid IS DISTINCT FROM to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
            )
        ),
        ('0005', 'does', format('%s rows are held against the new constraints; writers go on', v_rows)),
        ('0005', 'expect', 'negative rows that are accepted as they are: ' || v_negative),
        (
            '0006', 'does',
            CASE
                WHEN EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = c_index AND NOT i.indisvalid)
                    THEN 'budget_day_idx is left invalid by a build that was cut short: dropped CONCURRENTLY'
            END
        ),
        ('0006', 'does', format('index on created_at: built CONCURRENTLY over %s rows; writers go on', v_rows)),
        (
            '0006', 'expect',
            CASE
                WHEN v_rows <> '0'
                    THEN 'it waits for all transactions that are open then; where code of yours itself runs LOCK TABLE '
                        'cost_tracking meanwhile, one of the two may end with 40P01: migrate again, or call again'
            END
        ),
        ('0007', 'does', v_holds),
        ('0007', 'expect', v_lapsed),
        ('0007', 'does', v_older)
    ) AS n (migration, kind, note)
    WHERE n.note IS NOT NULL AND n.migration = ANY (p_pending);
END
$function$;
