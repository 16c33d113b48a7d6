-- The roles stay: they belong to the cluster, and other databases may use them.

SET search_path = pg_catalog, pg_temp;

-- begin compiled
DROP FUNCTION IF EXISTS budget._preflight();

DROP FUNCTION IF EXISTS budget._foreign_code();

DROP FUNCTION IF EXISTS budget._foreign_owners();

DROP FUNCTION IF EXISTS budget._former_callers(regprocedure);

DROP FUNCTION IF EXISTS budget._adopted_function();

DROP FUNCTION IF EXISTS budget._ledger_owner();

DROP FUNCTION IF EXISTS budget._keep_found();

DROP FUNCTION IF EXISTS budget._hand_over();

DROP FUNCTION IF EXISTS budget._note_found();

DROP FUNCTION IF EXISTS budget._lock_table(text, text);

DROP FUNCTION IF EXISTS budget._in_short_tries(text[], text[], text);
-- end compiled

DROP TYPE IF EXISTS budget._posting;

DROP TYPE IF EXISTS budget._config;

DROP TYPE IF EXISTS budget.outcome;

DROP TYPE IF EXISTS budget.verdict;

DROP SCHEMA IF EXISTS budget;

RESET search_path;
