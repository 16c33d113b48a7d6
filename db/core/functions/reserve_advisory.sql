CREATE OR REPLACE FUNCTION budget.reserve_advisory(
    p_estimated_cost numeric,
    p_service_name text,
    p_metadata jsonb DEFAULT '{}',
    p_reservation_id uuid DEFAULT NULL,
    p_ttl interval DEFAULT NULL
)
RETURNS SETOF budget.verdict
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $function$
BEGIN
    RETURN NEXT budget._reserve(
        'advisory', p_estimated_cost, p_service_name, p_metadata, p_reservation_id, p_ttl, NULL
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.reserve_advisory(numeric, text, jsonb, uuid, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.reserve_advisory(numeric, text, jsonb, uuid, interval) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.reserve_advisory(numeric, text, jsonb, uuid, interval) IS
'Reserves an estimated cost before a call, if the day''s limit has room for it. One row: the verdict; a refusal is a
row too.

p_estimated_cost  in the currency of the limits; at most 12 decimals, rounded up
p_service_name    who will spend it, 1 to 200 characters
p_metadata        a JSON object, at most 64 KiB, kept as original_metadata
p_reservation_id  the hold''s id, which makes a repeat safe: the same id with the same arguments is charged once; made
                  here when it is NULL
p_ttl             the hold lapses after this time and then counts nothing; more than 0 and at most 24 hours, by default
                  the limits'' reservation_ttl

current_total and remaining are read before this call. reason is granted, replayed (this id is open already),
in_flight (retry_at: when enough open holds have lapsed), exhausted (retry_at: when the day ends), too_large, frozen,
or ended (this id''s hold has ended: do not spend on it).
Errors: 22023, 22003 bad argument; PB001 not READ COMMITTED; PB003 id reused with other arguments; PB005 broken
configuration; PB006 the ledger did not keep the row; 55P03 lock wait.
Locks: ROW EXCLUSIVE on the ledger and the transaction-level advisory lock 8099550711184319860 until the end of the
transaction; other reservations wait for it, while plain writers of the ledger, autovacuum and CREATE INDEX go on.';
