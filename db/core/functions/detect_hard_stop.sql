CREATE OR REPLACE FUNCTION budget.detect_hard_stop(p_task_description text)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_security CONSTANT text[] := ARRAY[
        'sql injection', 'xss', 'csrf', 'authentication', 'authorization', 'encryption', 'password hashing',
        'api keys', 'secrets management', 'access control', 'input validation', 'sanitization'
    ];
    c_architecture CONSTANT text[] := ARRAY[
        'api contract', 'schema change', 'breaking change', 'database migration', 'event schema',
        'integration contract', 'system design', 'architectural decision'
    ];
BEGIN
    IF p_task_description IS NULL THEN
        RAISE EXCEPTION 'a task without a description cannot be checked for a hard stop'
            USING ERRCODE = '22023', DETAIL = 'p_task_description is null.', HINT = 'Give the text of the task.';
    END IF;
    RETURN EXISTS (
        SELECT
        FROM unnest(c_security || c_architecture) AS k (keyword)
        -- "C", because in a Turkish locale the lower case of AUTHENTICATION has no dot on its i.
        WHERE position(k.keyword IN lower(p_task_description COLLATE "C")) > 0
    );
END
$function$;

REVOKE ALL ON FUNCTION budget.detect_hard_stop(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget.detect_hard_stop(text) TO budget_caller, budget_admin;
COMMENT ON FUNCTION budget.detect_hard_stop(text) IS
'Does the task touch security or architecture, so that the strongest proposer must take it?

p_task_description  the text; it is searched without regard to case

Errors: 22023 null. Locks: none.';
