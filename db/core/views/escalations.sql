CREATE OR REPLACE VIEW budget.escalations
WITH (security_barrier = true) AS
SELECT
    e.id,
    e.created_at,
    e.trigger_type AS kind,
    e.context ->> 'severity' AS severity,
    e.context ->> 'subject' AS subject,
    e.reason,
    e.status,
    e.work_order_id,
    e.context
FROM budget._escalated() AS e;

REVOKE ALL ON budget.escalations FROM PUBLIC;
GRANT SELECT ON budget.escalations TO budget_reader;
COMMENT ON VIEW budget.escalations IS
'What was escalated about the budget: refusals (budget_refused), caps that were reached (budget_daily_soft_cap,
budget_daily_hard_cap, budget_emergency_kill), spend above the limit (budget_overrun), and who changed, froze and unfroze
it (severity info). context has the figures, amounts as text.';
