-- transactional: false

SET search_path = pg_catalog, pg_temp;

DROP INDEX CONCURRENTLY IF EXISTS public.budget_expiry_idx;

RESET search_path;
