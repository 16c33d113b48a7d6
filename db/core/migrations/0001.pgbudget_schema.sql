-- The schema, its roles and its types. Takes no lock on a table of the application.

-- Here as in every migration: an operator or function that others planted in a schema of the DBA's own search_path
-- would run with his rights, or stand in our CHECK constraints and views for good.
SET search_path = pg_catalog, pg_temp;

DO $do$
DECLARE
    v_grantee regrole;
BEGIN
    IF to_regnamespace('budget') IS NULL THEN
        CREATE SCHEMA budget;
        COMMENT ON SCHEMA budget IS 'pgbudget: a spend limit that the database itself enforces.';
        -- Default privileges may have opened it to others; who can create in it could stand in for our functions.
        FOR v_grantee IN
            SELECT DISTINCT a.grantee
            FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
            WHERE n.nspname = 'budget' AND a.grantee NOT IN (0, n.nspowner)
        LOOP
            EXECUTE format('REVOKE ALL ON SCHEMA budget FROM %s', v_grantee);
        END LOOP;
    ELSIF coalesce(obj_description(to_regnamespace('budget'), 'pg_namespace'), '') NOT LIKE 'pgbudget:%' THEN
        RAISE EXCEPTION 'this database has a schema budget that is not of pgbudget'
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', (
                SELECT n.nspowner::regrole FROM pg_namespace AS n WHERE n.nspname = 'budget'
            )),
            HINT = 'Nothing was changed. Drop it if it is empty, or rename it: ALTER SCHEMA budget RENAME TO another_name';
    ELSIF EXISTS (
        SELECT
        FROM pg_namespace AS n
        INNER JOIN pg_roles AS o ON o.oid = n.nspowner
        INNER JOIN pg_roles AS me ON me.rolname = current_user
        WHERE n.nspname = 'budget' AND o.oid <> me.oid AND NOT o.rolsuper AND (me.rolsuper OR NOT pg_has_role(o.oid, 'MEMBER'))
            AND NOT (
                coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean
                AND o.oid IN (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass('public.cost_tracking'))
            )
    ) THEN
        -- Whoever owns the schema can put his own functions in the place of ours: its comment is no proof.
        RAISE EXCEPTION 'the schema budget of this database belongs to another role'
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', (
                SELECT n.nspowner::regrole FROM pg_namespace AS n WHERE n.nspname = 'budget'
            )),
            HINT = 'Nothing was changed. Migrate as its owner, or, if that is the ledger''s and you trust it with your rights, with '
                '--accept-owner or the setting pgbudget.accept_owner = on; else drop or rename the schema.';
    END IF;
END
$do$;

-- Roles belong to the cluster: another database may have made them, or be making them at this moment.
DO $do$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['budget_caller', 'budget_admin', 'budget_reader'] LOOP
        IF to_regrole(v_role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
    -- Asked first: to grant what is granted already needs the right to grant it.
    IF to_regrole('service_role') IS NOT NULL AND NOT pg_has_role('service_role', 'budget_caller', 'MEMBER') THEN
        GRANT budget_caller TO service_role;
    END IF;
END
$do$;

REVOKE ALL ON SCHEMA budget FROM PUBLIC;

-- Who may use it is said once all functions are made, and closed to PUBLIC: 0003.pgbudget_functions.

DO $do$
BEGIN
    IF to_regtype('budget.verdict') IS NULL THEN
        CREATE TYPE budget.verdict AS (
            can_proceed boolean,
            current_total numeric,
            reservation_id uuid,
            reason text,
            budget text,
            limit_amount numeric,
            remaining numeric,
            resets_at timestamptz,
            retry_at timestamptz,
            expires_at timestamptz
        );
    END IF;
    IF to_regtype('budget.outcome') IS NULL THEN
        CREATE TYPE budget.outcome AS (
            reservation_id uuid,
            status text,
            estimated_cost numeric,
            actual_cost numeric,
            over_limit boolean,
            late boolean
        );
    END IF;
    IF to_regtype('budget._config') IS NULL THEN
        CREATE TYPE budget._config AS (
            daily_soft_cap numeric,
            daily_hard_cap numeric,
            emergency_kill numeric,
            timezone text,
            reservation_ttl interval,
            on_expiry text,
            exempt_services jsonb,
            frozen boolean,
            error text
        );
    END IF;
    IF to_regtype('budget._posting') IS NULL THEN
        CREATE TYPE budget._posting AS (service_name text, request jsonb, created_at timestamptz, amount numeric);
    END IF;
END
$do$;

COMMENT ON TYPE budget.verdict IS 'The answer to a reservation: may the call go on, and why or why not.';

COMMENT ON TYPE budget.outcome IS 'What became of a hold, or of spend that had none.';

COMMENT ON TYPE budget._config IS 'The limits in force, read once per call.';

COMMENT ON TYPE budget._posting IS 'What a request, or a ledger row, adds to the budgets that it belongs to.';

-- begin functions/_internal/_in_short_tries.sql
-- For what changes a live database: strong locks are asked for in short tries, and not for as long as the busiest
-- transaction takes. What a try has locked it gives back after a quarter of a second, if it waits for more. So whoever
-- queues behind it goes on soon; and should he hold what the try waits for, it has given way before he looks for a
-- deadlock (deadlock_timeout, 1 s), whatever the order.
CREATE OR REPLACE FUNCTION budget._in_short_tries(p_turns text[], p_statements text[], p_what text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_try CONSTANT interval := interval '250 milliseconds';
    v_lock_timeout text := current_setting('lock_timeout');
    v_patience interval := coalesce(nullif(current_setting('pgbudget.lock_patience', true), ''), '30s')::interval;
    v_deadline timestamptz := clock_timestamp() + v_patience;
    v_left interval;
    v_until timestamptz;
    v_statement text;
BEGIN
    LOOP
        BEGIN
            PERFORM set_config('lock_timeout', (1 + 1000 * extract(EPOCH FROM v_patience))::integer::text, true);
            FOREACH v_statement IN ARRAY p_turns LOOP
                EXECUTE v_statement;
            END LOOP;
            v_until := NULL;
            FOREACH v_statement IN ARRAY p_statements LOOP
                v_left := greatest(interval '1 millisecond', coalesce(v_until - clock_timestamp(), c_try));
                PERFORM set_config('lock_timeout', ceil(1000 * extract(EPOCH FROM v_left))::text, true);
                EXECUTE v_statement;
                v_until := coalesce(v_until, clock_timestamp() + c_try);
            END LOOP;
            PERFORM set_config('lock_timeout', v_lock_timeout, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > v_deadline THEN
                RAISE EXCEPTION 'too busy to be changed now: %', p_what
                    USING ERRCODE = '55P03',
                    DETAIL = format('There was not within %s: %s', v_patience, v_statement),
                    HINT = 'This step changed nothing. End the long transactions on it (pg_stat_activity, pg_locks) and '
                        'migrate again, which resumes here; or wait longer with the setting pgbudget.lock_patience.';
            END IF;
        END;
        PERFORM pg_sleep(0.25 + random() * 0.25);
    END LOOP;
END
$function$;

REVOKE ALL ON FUNCTION budget._in_short_tries(text[], text[], text) FROM PUBLIC;
COMMENT ON FUNCTION budget._in_short_tries(text[], text[], text) IS
'Runs statements that lock, all of them in one try or none, for at most pgbudget.lock_patience (30s). Before each try it
waits as long as need be for the p_turns, which are to keep no plain writer waiting. Errors: 55P03.';
-- end functions/_internal/_in_short_tries.sql

-- begin functions/_internal/_lock_table.sql
-- Several tables are locked in one try or not at all, so that none is kept from its writers while another is busy. No
-- plain writer queues behind a SHARE UPDATE EXCLUSIVE, so it may take its turn among those who lock the table to
-- reserve, and wait for an autovacuum to give way; both are shut out then, while the strong lock is asked for. The
-- first table's turn is the last, for nobody locks the others to reserve.
CREATE OR REPLACE FUNCTION budget._lock_table(p_tables text, p_mode text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_tables text[] := string_to_array(p_tables, ', ');
BEGIN
    PERFORM budget._in_short_tries(
        ARRAY(
            SELECT format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', t.name)
            FROM unnest(v_tables) WITH ORDINALITY AS t (name, place)
            ORDER BY t.place DESC
        ),
        ARRAY(
            SELECT format('LOCK TABLE %s IN %s MODE', t.name, p_mode)
            FROM unnest(v_tables) WITH ORDINALITY AS t (name, place)
            ORDER BY t.place
        ),
        p_tables
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._lock_table(text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._lock_table(text, text) IS
'Locks tables, named with commas between them and in the order in which callers come to them, until the end of the
transaction, as budget._in_short_tries does. Errors: 55P03.';
-- end functions/_internal/_lock_table.sql

-- begin functions/_internal/_note_found.sql
-- The rights of what is here already are those that its DBA wants. Internal functions are for nobody, except what the
-- views call.
CREATE OR REPLACE FUNCTION budget._note_found()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM set_config('pgbudget.found', array(
        SELECT p.oid
        FROM pg_proc AS p
        WHERE
            p.pronamespace = 'budget'::regnamespace
            AND (
                NOT starts_with(p.proname, '_')
                OR EXISTS (
                    SELECT
                    FROM pg_depend AS d
                    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
                )
            )
        UNION ALL
        SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'budget'::regnamespace
    )::text, false);
    -- Where the triggers of the series budgets keep balances, decisions read them, and go on doing so.
    PERFORM set_config('pgbudget.in_force', coalesce((
        SELECT
            string_agg(
                format(
                    '%s; COMMENT ON FUNCTION %s IS %L;',
                    pg_get_functiondef(p.oid), p.oid::regprocedure, obj_description(p.oid, 'pg_proc')
                ),
                ' '
            )
        FROM pg_proc AS p
        WHERE
            p.pronamespace = 'budget'::regnamespace
            AND p.proname IN ('_serialise', '_headroom', '_drift')
            AND EXISTS (
                SELECT
                FROM pg_trigger AS t
                WHERE t.tgrelid = to_regclass('public.cost_tracking') AND t.tgname = 'budget_post_insert'
            )
    ), ''), false);
END
$function$;

REVOKE ALL ON FUNCTION budget._note_found() FROM PUBLIC;
COMMENT ON FUNCTION budget._note_found() IS
'For migrations, which may run again, before they create anything: notes what budget._keep_found is to keep.';
-- end functions/_internal/_note_found.sql

-- begin functions/_internal/_hand_over.sql
-- What a migration makes belongs to the role that runs it, be it a superuser, until its end.
CREATE OR REPLACE FUNCTION budget._hand_over()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_owner CONSTANT oid := budget._ledger_owner();
    -- Found before the first of them changes hands: ours is known by the owner of the schema. That comes first, for who
    -- is given the rest has to be able to create in it. What is locked is so in the order in which those come to it who
    -- read and decide: views, tables, types.
    v_statements text[] := ARRAY(
        SELECT format('ALTER %s OWNER TO %s', t.name, c_owner::regrole)
        FROM (
            SELECT
                CASE c.relkind WHEN 'c' THEN 'TYPE ' WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass AS name,
                array_position(ARRAY['v', 'r', 'c'], c.relkind::text) AS place,
                array_position(ARRAY['budgets', 'balances', 'postings'], c.relname::text) AS place_of_table
            FROM pg_class AS c
            WHERE
                c.relnamespace = 'budget'::regnamespace AND c.relkind IN ('c', 'v', 'r') AND c.relowner <> c_owner
            UNION ALL
            SELECT 'FUNCTION ' || p.oid::regprocedure, 4, NULL
            FROM pg_proc AS p
            WHERE
                p.proowner <> c_owner
                AND (
                    p.pronamespace = 'budget'::regnamespace
                    OR (
                        p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
                        AND p.oid IS DISTINCT FROM budget._adopted_function()
                    )
                )
            UNION ALL
            SELECT 'SCHEMA budget', 0, NULL FROM pg_namespace AS n WHERE n.nspname = 'budget' AND n.nspowner <> c_owner
        ) AS t
        ORDER BY t.place, t.place_of_table, t.name
    );
BEGIN
    -- Not to an owner of whom nobody said that he is trusted: the next migration stops at him.
    IF EXISTS (SELECT FROM budget._foreign_owners() AS f WHERE f.table_name = 'cost_tracking') THEN
        RETURN;
    END IF;
    PERFORM budget._in_short_tries('{}', v_statements, 'the schema budget');
END
$function$;

REVOKE ALL ON FUNCTION budget._hand_over() FROM PUBLIC;
COMMENT ON FUNCTION budget._hand_over() IS
'For migrations, at their end: all that is of pgbudget belongs to the owner of the ledger, whoever migrates. Where that
is another role than the migrating one, pgbudget.accept_owner has to be on.';
-- end functions/_internal/_hand_over.sql

-- begin functions/_internal/_keep_found.sql
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
-- end functions/_internal/_keep_found.sql

-- begin functions/_internal/_ledger_owner.sql
-- Whoever owns the ledger could always do with its rows what he liked. So the functions run with his rights, whoever
-- migrates, and triggers of his own on it gain nothing. Where there is no ledger yet, it will be the migrating role's.
CREATE OR REPLACE FUNCTION budget._ledger_owner()
RETURNS oid
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coalesce(
        (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass('public.cost_tracking')),
        (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user)
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._ledger_owner() FROM PUBLIC;
COMMENT ON FUNCTION budget._ledger_owner() IS 'The role to which the ledger and all of pgbudget belong.';
-- end functions/_internal/_ledger_owner.sql

-- begin functions/_internal/_adopted_function.sql
-- Ours is known by what it calls and whose it is: anybody can write the same words into a function of his own.
CREATE OR REPLACE FUNCTION budget._adopted_function()
RETURNS regprocedure
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN (
        SELECT p.oid::regprocedure
        FROM pg_proc AS p
        WHERE
            p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
            AND NOT (
                p.prosrc LIKE '%budget.reserve(%'
                AND p.proowner IN (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'budget')
            )
    );
END
$function$;

REVOKE ALL ON FUNCTION budget._adopted_function() FROM PUBLIC;
COMMENT ON FUNCTION budget._adopted_function() IS
'The application''s own check_and_reserve_budget, if ours has not taken its place; else NULL.';
-- end functions/_internal/_adopted_function.sql

-- begin functions/_internal/_former_callers.sql
-- What row security would have stopped is not known of a policy that looks at the row. A role that it binds keeps its
-- way only where every row passes.
CREATE OR REPLACE FUNCTION budget._former_callers(p_function regprocedure)
RETURNS TABLE (role_name text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT quote_ident(r.rolname)
    FROM pg_roles AS r
    INNER JOIN pg_class AS c ON c.oid = to_regclass('public.cost_tracking')
    WHERE
        NOT r.rolsuper
        AND r.rolname NOT IN ('anon', 'authenticated')
        AND r.rolname !~ '^pg_'
        AND has_function_privilege(r.oid, p_function, 'EXECUTE')
        AND has_table_privilege(r.oid, c.oid, 'INSERT')
        AND (
            NOT c.relrowsecurity
            OR r.rolbypassrls
            OR (NOT c.relforcerowsecurity AND pg_has_role(r.oid, c.relowner, 'USAGE'))
            OR (
                SELECT coalesce(bool_or(w.lets_all) FILTER (WHERE p.polpermissive), false)
                    AND coalesce(bool_and(w.lets_all) FILTER (WHERE NOT p.polpermissive), true)
                FROM pg_policy AS p
                CROSS JOIN LATERAL (
                    SELECT pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) = 'true' AS lets_all
                ) AS w
                WHERE
                    p.polrelid = c.oid
                    AND p.polcmd IN ('a', '*')
                    AND EXISTS (
                        SELECT FROM unnest(p.polroles) AS g WHERE g = 0 OR pg_has_role(r.oid, g, 'USAGE')
                    )
            )
        )
    ORDER BY r.rolname;
END
$function$;

REVOKE ALL ON FUNCTION budget._former_callers(regprocedure) FROM PUBLIC;
COMMENT ON FUNCTION budget._former_callers(regprocedure) IS
'The roles that keep their way to reserve when check_and_reserve_budget becomes ours: they could call the function and
write the ledger, by whatever way, but for anon, authenticated and those whom row security may have stopped.';
-- end functions/_internal/_former_callers.sql

-- begin functions/_internal/_foreign_owners.sql
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
-- end functions/_internal/_foreign_owners.sql

-- begin functions/_internal/_code_rights.sql
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
-- end functions/_internal/_code_rights.sql

-- begin functions/_internal/_foreign_code.sql
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
-- end functions/_internal/_foreign_code.sql

-- begin functions/_internal/_preflight.sql
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
-- end functions/_internal/_preflight.sql

DO $do$
BEGIN
    PERFORM budget._hand_over();
END
$do$;

RESET search_path;
