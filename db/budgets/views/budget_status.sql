CREATE OR REPLACE VIEW budget.budget_status
WITH (security_barrier = true) AS
SELECT
    s.name,
    s.dimension,
    s.member,
    s.period,
    s.limit_amount,
    s.spent,
    s.held,
    s.remaining,
    s.resets_at,
    s.enforcement,
    s.is_active,
    s.raised_by,
    s.raised_until
FROM budget._budget_standing() AS s;

REVOKE ALL ON budget.budget_status FROM PUBLIC;
GRANT SELECT ON budget.budget_status TO budget_reader;
COMMENT ON VIEW budget.budget_status IS
'One row per budget and member with spend in the window that runs, and one for a budget that has none: limit, spent,
held, remaining (limit minus both; it may be negative), and when the window ends (resets_at; NULL for a total). The limit
is that in force: a temporary raise is in it, and shown by raised_by and raised_until.';
