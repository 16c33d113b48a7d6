CREATE OR REPLACE FUNCTION budget._slots_of(p_slots integer, p_amount numeric)
RETURNS TABLE (slot integer, amount numeric, room numeric)
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT
        s.slot,
        CASE s.slot WHEN 0 THEN p_amount ELSE 0 END,
        CASE s.slot WHEN 0 THEN -p_amount ELSE 0 END
    FROM pg_catalog.generate_series(0, CASE p_slots WHEN 1 THEN 0 ELSE p_slots END) AS s (slot)
$function$;

REVOKE ALL ON FUNCTION budget._slots_of(integer, numeric) FROM PUBLIC;
COMMENT ON FUNCTION budget._slots_of(integer, numeric) IS
'The rows of a balance that is opened with an amount: slot 0 has all of it, and those beside it have no room yet.';
