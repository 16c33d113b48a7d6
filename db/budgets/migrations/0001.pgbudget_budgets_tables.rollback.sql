SET search_path = pg_catalog, pg_temp;

DROP TYPE IF EXISTS budget._match;

DROP TABLE IF EXISTS budget.postings;

DROP TABLE IF EXISTS budget.balances;

DROP TABLE IF EXISTS budget.budgets;

RESET search_path;
