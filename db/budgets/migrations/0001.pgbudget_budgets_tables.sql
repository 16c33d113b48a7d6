-- depends: 0007.pgbudget_open_holds
-- Many budgets and their balances. Nothing uses them yet.

SET search_path = pg_catalog, pg_temp;

CREATE TABLE IF NOT EXISTS budget.budgets (
    name text PRIMARY KEY,
    dimension text NOT NULL,
    member text,
    period text NOT NULL,
    limit_amount numeric,
    timezone text,
    soft_limits numeric [] NOT NULL DEFAULT '{}',
    enforcement text NOT NULL DEFAULT 'block',
    is_active boolean NOT NULL DEFAULT true,
    CONSTRAINT budgets_period_known CHECK (period IN ('minute', 'hour', 'day', 'week', 'month', 'total')),
    CONSTRAINT budgets_enforcement_known CHECK (enforcement IN ('block', 'warn')),
    CONSTRAINT budgets_limit_in_range CHECK (limit_amount >= 0 AND limit_amount < 1e15),
    -- The limit of the day is written in system_config, and nowhere else.
    CONSTRAINT budgets_one_truth CHECK ((name = 'daily') = (limit_amount IS NULL))
);

COMMENT ON TABLE budget.budgets IS 'The budgets; budget.set_budget writes them.';

CREATE TABLE IF NOT EXISTS budget.balances (
    budget text NOT NULL REFERENCES budget.budgets (name) ON DELETE CASCADE,
    member text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (budget, member, starts_at)
)
WITH (fillfactor = 50);

COMMENT ON TABLE budget.balances IS
'What the ledger rows of a member come to in a window of a budget. A trigger on the ledger keeps it.';

DO $do$
BEGIN
    IF to_regtype('budget._posting') IS NULL THEN
        CREATE TYPE budget._posting AS (service_name text, request jsonb, created_at timestamptz, amount numeric);
    END IF;
END
$do$;

COMMENT ON TYPE budget._posting IS 'What one ledger row adds to the balances that it matches.';

INSERT INTO budget.budgets (name, dimension, member, period)
VALUES ('daily', '*', '*', 'day')
ON CONFLICT (name) DO NOTHING;

-- Default privileges may have given them away.
DO $do$
DECLARE
    v_grant record;
BEGIN
    FOR v_grant IN
        SELECT c.oid::regclass AS table_name, a.grantee
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.oid IN ('budget.budgets'::regclass, 'budget.balances'::regclass) AND a.grantee <> c.relowner
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s FROM %s',
            v_grant.table_name,
            CASE v_grant.grantee WHEN 0 THEN 'PUBLIC' ELSE v_grant.grantee::regrole::text END
        );
    END LOOP;
END
$do$;

RESET search_path;
