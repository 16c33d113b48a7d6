-- Of the application's table a reader of the budget sees the budget's rows alone. Where row security hides rows from
-- us, it is an error, not a part.
CREATE OR REPLACE FUNCTION budget._escalated()
RETURNS SETOF public.escalations
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN QUERY SELECT e.* FROM public.escalations AS e WHERE e.trigger_type LIKE 'budget\_%';
END
$function$;

REVOKE ALL ON FUNCTION budget._escalated() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget._escalated() TO budget_reader;
COMMENT ON FUNCTION budget._escalated() IS 'The rows of public.escalations that are about the budget.';
