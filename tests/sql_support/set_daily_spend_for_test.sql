-- What the race test of the handover calls: the day's ledger is replaced by one row of plain spend.
-- The day is one of the budget's time zone, and the row stands at its first instant.
CREATE OR REPLACE FUNCTION public.set_daily_spend_for_test(target_spend numeric, test_date date)
RETURNS void
LANGUAGE plpgsql
VOLATILE
AS $function$
DECLARE
    v_zone text := l.timezone FROM budget.limits() AS l;
BEGIN
    DELETE FROM public.cost_tracking AS l WHERE (l.created_at AT TIME ZONE v_zone)::date = test_date;
    INSERT INTO public.cost_tracking (service_name, cost, created_at)
    VALUES ('spent-before', target_spend, test_date::timestamp AT TIME ZONE v_zone);
END
$function$;
