-- depends: 0001.schema
-- The application's tables: each is made where it is missing, and taken over with its rows where it is there.
-- Every change is made only where it is needed, so that the file may run again after a crash.

DO $do$
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
        COMMENT ON TABLE public.work_orders IS 'Created by pgbudget.';
    END IF;
    IF to_regclass('public.escalations') IS NULL THEN
        CREATE TABLE public.escalations (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            work_order_id uuid REFERENCES public.work_orders (id) ON DELETE CASCADE,
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
        COMMENT ON TABLE public.escalations IS 'Created by pgbudget.';
    END IF;
    IF to_regclass('public.system_config') IS NULL THEN
        CREATE TABLE public.system_config (
            key text PRIMARY KEY,
            value text NOT NULL,
            description text,
            created_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now()
        );
        COMMENT ON TABLE public.system_config IS 'Created by pgbudget.';
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
        COMMENT ON TABLE public.proposer_configs IS 'Created by pgbudget.';
    END IF;
    IF to_regclass('public.cost_tracking') IS NULL THEN
        CREATE TABLE public.cost_tracking (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            service_name text NOT NULL,
            cost numeric NOT NULL,
            metadata jsonb DEFAULT '{}',
            created_at timestamptz DEFAULT now()
        );
        COMMENT ON TABLE public.cost_tracking IS 'Created by pgbudget.';
    END IF;
END
$do$;

-- Default privileges may have given others rights on what was made just now.
DO $do$
DECLARE
    v_grant record;
BEGIN
    FOR v_grant IN
        SELECT DISTINCT
            c.oid::regclass AS table_name,
            CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(a.grantee::regrole::text) END AS grantee
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE
            c.relnamespace = 'public'::regnamespace
            AND obj_description(c.oid, 'pg_class') = 'Created by pgbudget.'
            AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', v_grant.table_name, v_grant.grantee);
    END LOOP;
END
$do$;

DO $do$
DECLARE
    v_typmod integer;
BEGIN
    SELECT a.atttypmod INTO STRICT v_typmod
    FROM pg_attribute AS a
    WHERE a.attrelid = 'public.cost_tracking'::regclass AND a.attname = 'cost';
    -- The strongest lock first and once: a lock that is raised later can deadlock with those who wait for it.
    PERFORM budget._lock_table('public.cost_tracking', 'ACCESS EXCLUSIVE');
    ALTER TABLE public.cost_tracking ADD COLUMN IF NOT EXISTS expires_at timestamptz;
    COMMENT ON COLUMN public.cost_tracking.expires_at IS
    'When an open hold lapses and counts nothing any more; NULL on every other row. Kept by pgbudget.';
    IF v_typmod <> -1 THEN
        -- To plain numeric no row is rewritten; any other width would rewrite the table.
        ALTER TABLE public.cost_tracking ALTER COLUMN cost TYPE numeric;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'budget_cost_in_range') THEN
        ALTER TABLE public.cost_tracking
            ADD CONSTRAINT budget_cost_in_range CHECK (cost >= 0 AND cost < 1e15) NOT VALID,
            ADD CONSTRAINT budget_created_at_present CHECK (created_at IS NOT NULL) NOT VALID,
            ADD CONSTRAINT budget_expiry_of_hold CHECK (
                expires_at IS NULL OR (metadata ->> 'type') IS NOT DISTINCT FROM 'reservation'
            ) NOT VALID;
    END IF;
END
$do$;

DO $do$
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.escalations'::regclass AND a.attname = 'reason' AND NOT a.attisdropped
    ) THEN
        PERFORM budget._lock_table('public.escalations', 'ACCESS EXCLUSIVE');
        ALTER TABLE public.escalations ADD COLUMN reason text;
        COMMENT ON COLUMN public.escalations.reason IS 'What happened, for a human. Added by pgbudget.';
    END IF;
END
$do$;

INSERT INTO public.system_config (key, value, description)
VALUES (
    'budget_limits',
    '{"daily_soft_cap": 20, "daily_hard_cap": 50, "emergency_kill": 100, "timezone": "UTC",
"reservation_ttl": "1 hour", "on_expiry": "release", "exempt_services": ["architect"]}',
    'Written by pgbudget; change it with budget.set_limits'
)
ON CONFLICT (key) DO NOTHING;
