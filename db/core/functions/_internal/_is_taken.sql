-- Asked after an insert that ON CONFLICT let go by. A row in a child table is one that a trigger has moved there.
CREATE OR REPLACE FUNCTION budget._is_taken(p_id uuid)
RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN EXISTS (SELECT FROM ONLY public.cost_tracking AS l WHERE l.id = p_id)
        -- Or it was taken, and is free again; unless there is a trigger that may have swallowed the row.
        OR NOT EXISTS (
            SELECT
            FROM pg_trigger AS t
            INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
            WHERE
                t.tgrelid = 'public.cost_tracking'::regclass
                AND t.tgtype & 7 = 7 -- BEFORE INSERT FOR EACH ROW
                AND p.pronamespace <> 'budget'::regnamespace
        );
END
$function$;

REVOKE ALL ON FUNCTION budget._is_taken(uuid) FROM PUBLIC;
COMMENT ON FUNCTION budget._is_taken(uuid) IS
'Was a row with this id not inserted because another has the id, or had it until now? Else a trigger swallowed it.';
