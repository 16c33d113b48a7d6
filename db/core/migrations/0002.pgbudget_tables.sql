-- depends: 0001.pgbudget_schema
-- The application's tables: each is made where it is missing, and taken over with its rows where it is there.
-- Every change is made only where it is needed, so that the file may run again after a crash.

SET search_path = pg_catalog, pg_temp;

-- Everything that stands in the way is reported at once, before anything is changed.
DO $do$
DECLARE
    v_count bigint;
    v_first text;
    v_found text;
    v_remedies text;
BEGIN
    SELECT
        count(*),
        (array_agg(p.place || ' is ' || p.found ORDER BY p.n))[1],
        string_agg(format('%s. %s is %s', p.n, p.place, p.found), E'\n' ORDER BY p.n),
        string_agg(format('%s. %s', p.n, p.remedy), E'\n' ORDER BY p.n)
    INTO v_count, v_first, v_found, v_remedies
    FROM (
        SELECT
            row_number() OVER (ORDER BY f.table_name, f.column_name, f.found) AS n,
            concat_ws('.', 'public', f.table_name, f.column_name) AS place,
            f.found,
            f.remedy
        FROM budget._preflight() AS f
    ) AS p;
    IF v_count > 0 THEN
        RAISE EXCEPTION 'the application''s tables cannot be taken over as they are: %', v_first
            || CASE WHEN v_count > 1 THEN format(', and %s more', v_count - 1) ELSE '' END
            USING ERRCODE = '55000', DETAIL = v_found, HINT = E'No table was changed. Then migrate again.\n' || v_remedies;
    END IF;
END
$do$;

DO $do$
DECLARE
    v_made regclass[] := '{}';
    v_table regclass;
    v_grantee text;
BEGIN
    IF to_regclass('public.work_orders') IS NULL THEN
        CREATE TABLE public.work_orders (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            title text NOT NULL,
            description text NOT NULL,
            status text NOT NULL DEFAULT 'pending',
            risk_level text NOT NULL DEFAULT 'medium',
            proposer_id uuid,
            estimated_cost numeric,
            actual_cost numeric,
            metadata jsonb DEFAULT '{}',
            complexity_score numeric(5, 2),
            acceptance_criteria jsonb,
            files_in_scope jsonb,
            created_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now(),
            completed_at timestamptz
        );
        v_made := v_made || 'public.work_orders'::regclass;
    END IF;
    IF to_regclass('public.escalations') IS NULL THEN
        CREATE TABLE public.escalations (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            work_order_id uuid,
            trigger_type text NOT NULL,
            reason text,
            context jsonb NOT NULL,
            status text NOT NULL DEFAULT 'pending',
            resolution_type text,
            resolution_notes text,
            resolved_at timestamptz,
            created_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now()
        );
        CREATE INDEX ON public.escalations (work_order_id);
        v_made := v_made || 'public.escalations'::regclass;
    END IF;
    IF to_regclass('public.system_config') IS NULL THEN
        CREATE TABLE public.system_config (
            key text PRIMARY KEY,
            value text NOT NULL,
            description text,
            created_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now()
        );
        v_made := v_made || 'public.system_config'::regclass;
    END IF;
    IF to_regclass('public.proposer_configs') IS NULL THEN
        CREATE TABLE public.proposer_configs (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            name text UNIQUE NOT NULL,
            model text NOT NULL,
            provider text NOT NULL,
            complexity_threshold numeric(5, 2) NOT NULL DEFAULT 0.5,
            cost_profile jsonb NOT NULL,
            active boolean DEFAULT true,
            created_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now()
        );
        v_made := v_made || 'public.proposer_configs'::regclass;
    END IF;
    IF to_regclass('public.cost_tracking') IS NULL THEN
        CREATE TABLE public.cost_tracking (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            service_name text NOT NULL,
            cost numeric NOT NULL,
            metadata jsonb DEFAULT '{}',
            created_at timestamptz DEFAULT now()
        );
        v_made := v_made || 'public.cost_tracking'::regclass;
    END IF;

    FOREACH v_table IN ARRAY v_made LOOP
        EXECUTE format('COMMENT ON TABLE %s IS %L', v_table, 'Created by pgbudget.');
        -- Default privileges may have given others rights on it.
        FOR v_grantee IN
            SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
            FROM pg_class AS c, aclexplode(c.relacl) AS a
            WHERE c.oid = v_table AND a.grantee <> c.relowner
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', v_table, v_grantee);
        END LOOP;
        EXECUTE format('ALTER TABLE %s OWNER TO %s', v_table, budget._ledger_owner()::regrole);
    END LOOP;
END
$do$;

-- One statement takes every strong lock, the strongest first and once, so that no table is kept from its writers while
-- another is busy, and no lock is raised later: that can deadlock with those who wait for it. It stands last, because
-- the locks are held until the commit.
DO $do$
DECLARE
    -- What a column rounds away, a decision knew: money to 4 decimals, or a hold into the next day. Without a typmod no
    -- row is rewritten, nor an index; any other width would rewrite the table.
    v_widening text := (
        SELECT string_agg(format('ALTER COLUMN %I TYPE %s', a.attname, format_type(a.atttypid, NULL)), ', ')
        FROM pg_attribute AS a
        WHERE
            a.attrelid = 'public.cost_tracking'::regclass
            AND a.attname IN ('cost', 'created_at', 'expires_at')
            AND a.atttypmod <> -1
    );
    v_lacks_reason boolean := NOT EXISTS (
        SELECT
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.escalations'::regclass AND a.attname = 'reason'
    );
    v_lacks_limits boolean := NOT EXISTS (SELECT FROM public.system_config AS c WHERE c.key = 'budget_limits');
    v_rights jsonb := (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM budget._code_rights() AS r);
    v_open record;
    v_lacks_key boolean := obj_description('public.escalations'::regclass, 'pg_class') = 'Created by pgbudget.'
        AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = 'public.escalations'::regclass AND c.contype = 'f');
BEGIN
    PERFORM budget._lock_table(
        (
            SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid <> 'public.cost_tracking'::regclass, c.relname)
            FROM pg_class AS c
            WHERE
                c.oid = 'public.cost_tracking'::regclass
                OR (c.oid = 'public.escalations'::regclass AND (v_lacks_reason OR v_lacks_key))
                OR (c.oid = 'public.work_orders'::regclass AND v_lacks_key)
                OR (c.oid = 'public.system_config'::regclass AND v_lacks_limits)
                OR c.oid IN (SELECT (g.value ->> 'table_name')::regclass FROM jsonb_array_elements(v_rights) AS g)
        ),
        'ACCESS EXCLUSIVE'
    );
    -- Whoever may put a trigger on a table runs code as everyone that writes it, our functions too.
    FOR v_open IN
        SELECT g.right_name, g.table_name, g.grantee
        FROM jsonb_to_recordset(v_rights) AS g (right_name text, table_name text, grantee text)
    LOOP
        EXECUTE format('REVOKE %s ON %s FROM %s CASCADE', v_open.right_name, v_open.table_name, v_open.grantee);
        RAISE NOTICE '% on % is taken from %', v_open.right_name, v_open.table_name, v_open.grantee;
    END LOOP;
    -- Asked once more under the locks: a trigger that was being made meanwhile is there now, and no other comes.
    SELECT f.* INTO v_open FROM budget._foreign_code() AS f LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the application''s tables cannot be taken over as they are: % is %', v_open.table_name, v_open.found
            USING ERRCODE = '55000', HINT = E'No table was changed. Then migrate again.\n' || v_open.remedy;
    END IF;
    IF v_lacks_limits THEN
        INSERT INTO public.system_config (key, value, description)
        VALUES (
            'budget_limits',
            '{"daily_soft_cap": 20, "daily_hard_cap": 50, "emergency_kill": 100, "timezone": "UTC",
"reservation_ttl": "1 hour", "on_expiry": "release", "exempt_services": ["architect"]}',
            'Written by pgbudget; change it with budget.set_limits'
        )
        ON CONFLICT (key) DO NOTHING;
    END IF;
    IF v_lacks_key THEN
        ALTER TABLE public.escalations ADD FOREIGN KEY (work_order_id) REFERENCES public.work_orders (id) ON DELETE CASCADE;
    END IF;
    IF v_lacks_reason THEN
        ALTER TABLE public.escalations ADD COLUMN reason text;
        COMMENT ON COLUMN public.escalations.reason IS 'What happened, for a human. Added by pgbudget.';
    END IF;
    ALTER TABLE public.cost_tracking ADD COLUMN IF NOT EXISTS expires_at timestamptz;
    COMMENT ON COLUMN public.cost_tracking.expires_at IS
    'When an open hold lapses and counts nothing any more; NULL on every other row. Kept by pgbudget.';
    IF v_widening IS NOT NULL THEN
        EXECUTE 'ALTER TABLE public.cost_tracking ' || v_widening;
    END IF;
    -- All of them, where one was dropped since: this file may run again to mend that.
    IF 3 > (
        SELECT count(*)
        FROM pg_constraint AS c
        WHERE
            c.conrelid = 'public.cost_tracking'::regclass
            AND c.conname IN ('budget_cost_in_range', 'budget_created_at_present', 'budget_expiry_of_hold')
    ) THEN
        ALTER TABLE public.cost_tracking
            DROP CONSTRAINT IF EXISTS budget_cost_in_range,
            DROP CONSTRAINT IF EXISTS budget_created_at_present,
            DROP CONSTRAINT IF EXISTS budget_expiry_of_hold,
            ADD CONSTRAINT budget_cost_in_range CHECK (cost >= 0 AND cost < 1e15) NOT VALID,
            ADD CONSTRAINT budget_created_at_present CHECK (created_at IS NOT NULL) NOT VALID,
            ADD CONSTRAINT budget_expiry_of_hold CHECK (
                expires_at IS NULL
                OR (
                    (metadata ->> 'type') IS NOT DISTINCT FROM 'reservation'
                    -- A hold that never lapses would be held for good, and not every client has a value for it.
                    AND expires_at < timestamptz '9999-01-01 00:00:00+00'
                )
            ) NOT VALID;
    END IF;
END
$do$;

RESET search_path;
