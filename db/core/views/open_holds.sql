CREATE OR REPLACE VIEW budget.open_holds AS
SELECT
    l.id AS reservation_id,
    l.service_name,
    l.cost AS estimated_cost,
    l.created_at AS reserved_at,
    l.expires_at,
    l.metadata -> 'original_metadata' AS metadata
FROM budget._reading() AS r
INNER JOIN public.cost_tracking AS l ON l.expires_at > r.now;

REVOKE ALL ON budget.open_holds FROM PUBLIC;
GRANT SELECT ON budget.open_holds TO budget_reader;
COMMENT ON VIEW budget.open_holds IS
'Every hold that counts now, of whatever day, with its estimate in the currency of the limits and its caller''s metadata.';
