-- depends: 0007.pgbudget_open_holds
-- Many budgets and their balances. Nothing uses them yet.

SET search_path = pg_catalog, pg_temp;

-- begin guard
-- From here on functions of the schema run, and whoever owns them can change them.
DO $do$
DECLARE
    v_owner text := (
        SELECT r.rolname
        FROM pg_namespace AS n
        INNER JOIN pg_roles AS r ON n.nspowner = r.oid
        WHERE n.nspname = 'budget' AND r.rolname <> current_user AND NOT r.rolsuper
    );
BEGIN
    IF v_owner IS NOT NULL AND NOT coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean THEN
        RAISE EXCEPTION 'the schema budget belongs to another role, whose code would run with the rights of %', current_user
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', v_owner),
            HINT = 'Nothing was changed. Go on as its owner; or, if you trust it with your own rights, with '
                '--accept-owner or the setting pgbudget.accept_owner = on.';
    END IF;
END
$do$;
-- end guard

DO $do$
BEGIN
    PERFORM budget._note_found();
END
$do$;

CREATE TABLE IF NOT EXISTS budget.budgets (
    name text PRIMARY KEY,
    dimension text NOT NULL,
    member text,
    period text NOT NULL,
    limit_amount numeric,
    timezone text,
    soft_limits numeric[] NOT NULL DEFAULT '{}',
    enforcement text NOT NULL DEFAULT 'block',
    is_active boolean NOT NULL DEFAULT true,
    -- squawk-ignore prefer-bigint-over-int
    slots integer NOT NULL DEFAULT 1,
    extra numeric,
    extra_until timestamptz,
    counted_from timestamptz,
    CONSTRAINT budgets_period_known CHECK (period IN ('minute', 'hour', 'day', 'week', 'month', 'total')),
    CONSTRAINT budgets_enforcement_known CHECK (enforcement IN ('block', 'warn')),
    CONSTRAINT budgets_limit_in_range CHECK (limit_amount >= 0 AND limit_amount < 1e15),
    CONSTRAINT budgets_slots_in_range CHECK (slots BETWEEN 1 AND 64),
    CONSTRAINT budgets_raise_whole CHECK (
        (extra IS NULL) = (extra_until IS NULL) AND extra >= 0 AND extra < 1e15 AND isfinite(extra_until)
    ),
    -- The limit of the day is written in system_config, and nowhere else.
    CONSTRAINT budgets_one_truth CHECK ((name = 'daily') = (limit_amount IS NULL))
);

COMMENT ON TABLE budget.budgets IS 'The budgets; budget.set_budget writes them.';

COMMENT ON COLUMN budget.budgets.counted_from IS
'Of a window that ends after this, all that the ledger has is in balances and postings. An older one is added up anew.';

CREATE TABLE IF NOT EXISTS budget.balances (
    budget text NOT NULL REFERENCES budget.budgets (name) ON DELETE CASCADE,
    member text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- squawk-ignore prefer-bigint-over-int
    slot integer NOT NULL,
    amount numeric NOT NULL DEFAULT 0,
    room numeric NOT NULL DEFAULT 0,
    room_of numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (budget, member, starts_at, slot),
    CONSTRAINT balances_slot_has_room CHECK (slot = 0 OR room >= 0),
    CONSTRAINT balances_room_is_spread CHECK (slot = 0 OR room_of = 0)
)
WITH (fillfactor = 50);

COMMENT ON TABLE budget.balances IS
'What the ledger rows of a member come to in a window of a budget: the sum over its slots, and of the postings that are
not folded in yet. A row is there from the first decision on.';

COMMENT ON COLUMN budget.balances.slot IS
'0, and beside it 1 to slots where a budget has more than one: those who reserve at the same time lock different ones.';

COMMENT ON COLUMN budget.balances.room IS
'What may still be reserved from a slot without a look at the others. Of slot 0, as a negative number, what was spent
without room. Over all slots, room and amount come to the room_of of slot 0.';

COMMENT ON COLUMN budget.balances.room_of IS 'In slot 0: the limit whose room was last spread over the slots.';

-- Every statement that writes to the ledger appends here, and the next decision folds it in: appending never waits.
-- No foreign key: each posting would lock its budget's row.
CREATE TABLE IF NOT EXISTS budget.postings (
    budget text NOT NULL,
    member text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- squawk-ignore prefer-bigint-over-int
    slot integer NOT NULL,
    amount numeric NOT NULL
)
-- Its rows live shortly, and many come and go.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- The table is new, and empty.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS postings_balance_idx ON budget.postings (budget, member, starts_at, slot);

-- A publication FOR ALL TABLES would otherwise stop every decision. Not by a key: its rows are all alike.
ALTER TABLE budget.postings REPLICA IDENTITY FULL;

COMMENT ON TABLE budget.postings IS
'What was written to the ledger and is not folded into its balance yet. A trigger on the ledger appends.';

DO $do$
BEGIN
    IF to_regtype('budget._match') IS NULL THEN
        CREATE TYPE budget._match AS (
            budget text,
            dimension text,
            member text,
            starts_at timestamptz,
            ends_at timestamptz,
            limit_amount numeric,
            enforcement text,
            slots integer,
            slot integer,
            amount numeric
        );
    END IF;
END
$do$;

COMMENT ON TYPE budget._match IS
'A balance that postings belong to: its budget, window, limit in force, the slot of this session, and their amount.';

INSERT INTO budget.budgets (name, dimension, member, period)
VALUES ('daily', '*', '*', 'day')
ON CONFLICT (name) DO NOTHING;

REVOKE ALL ON budget.budgets, budget.balances, budget.postings FROM PUBLIC;

GRANT SELECT ON budget.budgets TO budget_admin, budget_reader;

DO $do$
BEGIN
    PERFORM budget._keep_found();
END
$do$;

RESET search_path;
