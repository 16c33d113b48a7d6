-- The roles stay: they belong to the cluster, and other databases may use them.

-- begin compiled
DROP FUNCTION IF EXISTS budget._preflight();

DROP FUNCTION IF EXISTS budget._lock_table(text, text);
-- end compiled

DROP TYPE IF EXISTS budget._config;

DROP TYPE IF EXISTS budget.outcome;

DROP TYPE IF EXISTS budget.verdict;

DROP SCHEMA IF EXISTS budget;
