-- The application's own tables, rows, rights and function, as a live database has them before it is migrated.

CREATE TABLE public.work_orders (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title text NOT NULL,
    description text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    risk_level text NOT NULL DEFAULT 'medium',
    proposer_id uuid,
    estimated_cost numeric(10, 2),
    actual_cost numeric(10, 2),
    metadata jsonb DEFAULT '{}',
    complexity_score numeric(5, 2),
    acceptance_criteria jsonb,
    files_in_scope jsonb,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    completed_at timestamptz,
    github_url text
);

CREATE TABLE public.escalations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    work_order_id uuid REFERENCES public.work_orders (id) ON DELETE CASCADE,
    trigger_type text NOT NULL,
    context jsonb NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    resolution_type text,
    resolution_notes text,
    resolved_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE public.system_config (
    key text PRIMARY KEY,
    value text NOT NULL,
    description text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE public.proposer_configs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text UNIQUE NOT NULL,
    model text NOT NULL,
    provider text NOT NULL,
    complexity_threshold numeric(5, 2) NOT NULL DEFAULT 0.5,
    cost_profile jsonb NOT NULL,
    active boolean DEFAULT true,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE public.cost_tracking (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    service_name text NOT NULL,
    cost numeric(10, 4) NOT NULL,
    metadata jsonb DEFAULT '{}',
    created_at timestamptz DEFAULT now(),
    region text DEFAULT 'eu'
);

COMMENT ON TABLE public.cost_tracking IS 'What we spend.';
COMMENT ON COLUMN public.cost_tracking.cost IS 'In US dollars.';

GRANT SELECT, INSERT, UPDATE, DELETE ON public.cost_tracking TO app_writer, anon;
GRANT SELECT ON public.cost_tracking TO app_reader;
GRANT SELECT, UPDATE (status) ON public.escalations TO app_writer;

INSERT INTO public.work_orders (id, title, description, metadata, estimated_cost)
VALUES
('00000000-0000-0000-0000-0000000000b1', 'first', 'a thing to do', '{"kept": [1, 2.50]}', 2.50),
('00000000-0000-0000-0000-0000000000b2', 'second', 'another', NULL, NULL);

INSERT INTO public.escalations (id, work_order_id, trigger_type, context)
VALUES ('00000000-0000-0000-0000-0000000000e1', '00000000-0000-0000-0000-0000000000b1', 'manual', '{"by": "hand"}');

INSERT INTO public.system_config (key, value, description, updated_at)
VALUES
(
    'budget_limits',
    '{"daily_soft_cap": 50, "daily_hard_cap": 100, "emergency_kill": 200, "monthly_target": 500, "monthly_hard_cap": 1000}',
    'ours', '2024-01-02 03:04:05+00'
),
('unrelated', 'not JSON', NULL, NULL);

INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
VALUES ('cheap', 'm', 'p', '{"input_cost_per_token": 0.00000015, "output_cost_per_token": 0.0000006}');

-- Spend in every shape of metadata, and holds that nothing ever settled: old ones, and today's.
INSERT INTO public.cost_tracking (id, service_name, cost, metadata, created_at)
VALUES
('00000000-0000-0000-0000-0000000000c1', 'plain', 1.5, '{}', now() - interval '40 days'),
('00000000-0000-0000-0000-0000000000c2', 'null', 0, NULL, now()),
('00000000-0000-0000-0000-0000000000c3', 'array', 0.0001, '[1, 2]', now() - interval '40 days'),
('00000000-0000-0000-0000-0000000000c4', 'string', 999999.9999, '"reservation"', now() - interval '40 days'),
('00000000-0000-0000-0000-0000000000c5', 'jsonb null', 2, 'null', now() - interval '40 days'),
('00000000-0000-0000-0000-0000000000c6', 'own type', 3, '{"type": "refund"}', now() - interval '40 days'),
('00000000-0000-0000-0000-0000000000c7', 'settled', 4, '{"type": "actual", "updated_at": "x"}', now() - interval '40 days'),
('00000000-0000-0000-0000-0000000000d1', 'old hold', 5, '{"type": "reservation", "original_metadata": {}}', now() - interval '40 days'),
('00000000-0000-0000-0000-0000000000d2', 'today''s hold', 6, '{"type": "reservation", "original_metadata": {"a": 1}}', now());

-- The handover's function, word for word but for its layout.
CREATE FUNCTION public.check_and_reserve_budget(
    p_estimated_cost decimal,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}'::jsonb
) RETURNS TABLE (can_proceed boolean, current_total decimal, reservation_id uuid) AS $$
DECLARE
  v_current_total DECIMAL;
  v_daily_limit DECIMAL := 100.0;
  v_reservation_id UUID;
BEGIN
  -- Lock cost_tracking table for this day
  LOCK TABLE cost_tracking IN SHARE ROW EXCLUSIVE MODE;

  -- Calculate current daily spend
  SELECT COALESCE(SUM(cost), 0) INTO v_current_total
  FROM cost_tracking
  WHERE DATE(created_at) = CURRENT_DATE;

  -- Check if reservation would exceed limit
  IF v_current_total + p_estimated_cost > v_daily_limit THEN
    RETURN QUERY SELECT FALSE, v_current_total, NULL::UUID;
  ELSE
    -- Create reservation record
    v_reservation_id := gen_random_uuid();

    INSERT INTO cost_tracking (id, cost, service_name, metadata, created_at)
    VALUES (
      v_reservation_id,
      p_estimated_cost,
      p_service_name,
      jsonb_build_object(
        'type', 'reservation',
        'original_metadata', p_metadata
      ),
      NOW()
    );

    RETURN QUERY SELECT TRUE, v_current_total, v_reservation_id;
  END IF;
END;
$$ LANGUAGE plpgsql;

COMMENT ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) IS 'Asks before it spends: 50% off, "they said".';
REVOKE ALL ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO app_writer WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION public.check_and_reserve_budget(numeric, text, jsonb) TO app_reader, anon, "App Owner";
