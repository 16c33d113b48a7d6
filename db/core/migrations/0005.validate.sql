-- depends: 0004.triggers
-- Old rows are held against the new rules. Plain writers go on meanwhile.

ALTER TABLE public.cost_tracking VALIDATE CONSTRAINT budget_cost_in_range;

ALTER TABLE public.cost_tracking VALIDATE CONSTRAINT budget_created_at_present;

ALTER TABLE public.cost_tracking VALIDATE CONSTRAINT budget_expiry_of_hold;
