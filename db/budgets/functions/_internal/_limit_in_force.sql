-- A raise ends by itself: nothing is written when its time has come.
CREATE OR REPLACE FUNCTION budget._limit_in_force(
    p_limit numeric,
    p_extra numeric,
    p_until timestamptz,
    p_now timestamptz
)
RETURNS numeric
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT p_limit + CASE WHEN p_now < p_until THEN p_extra ELSE 0 END
$function$;

REVOKE ALL ON FUNCTION budget._limit_in_force(numeric, numeric, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION budget._limit_in_force(numeric, numeric, timestamptz, timestamptz) IS
'The limit of a budget and what it is raised by at p_now; null for the day, whose limit is core''s.';
