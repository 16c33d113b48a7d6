-- depends: 0006.day_index
-- The holds that another writer left open today lapse like every other from now on; older ones are history.

UPDATE public.cost_tracking AS l
SET expires_at = l.created_at + (budget._read_config()).reservation_ttl
FROM budget._reading() AS r
WHERE
    l.created_at >= r.starts_at
    AND l.expires_at IS NULL
    AND l.metadata ->> 'type' = 'reservation';
