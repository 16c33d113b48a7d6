-- What the examples in llm/ need to know: the prices per token of the models that they call. Put in your own.
INSERT INTO public.proposer_configs (name, model, provider, cost_profile) VALUES
('gpt-4o-mini', 'gpt-4o-mini', 'openai', '{"input_cost_per_token": 0.00000015, "output_cost_per_token": 0.0000006}'),
('claude-sonnet-4-5', 'claude-sonnet-4-5', 'anthropic', '{"input_cost_per_token": 0.000003, "output_cost_per_token": 0.000015}')
ON CONFLICT (name) DO NOTHING;
