-- transactional: false
DROP INDEX CONCURRENTLY IF EXISTS public.budget_day_idx;
