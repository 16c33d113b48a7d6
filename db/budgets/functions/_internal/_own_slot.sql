-- Consecutive sessions of a server have consecutive numbers.
CREATE OR REPLACE FUNCTION budget._own_slot(p_slots integer)
RETURNS integer
LANGUAGE sql
STABLE
AS $function$
    SELECT CASE WHEN p_slots > 1 THEN 1 + pg_backend_pid() % p_slots ELSE 0 END
$function$;

REVOKE ALL ON FUNCTION budget._own_slot(integer) FROM PUBLIC;
COMMENT ON FUNCTION budget._own_slot(integer) IS 'The slot of this session, of so many; 0 where there is but one.';
