-- What row security would have stopped is not known of a policy that looks at the row. A role that it binds keeps its
-- way only where every row passes.
CREATE OR REPLACE FUNCTION budget._former_callers(p_function regprocedure)
RETURNS TABLE (role_name text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT quote_ident(r.rolname)
    FROM pg_roles AS r
    INNER JOIN pg_class AS c ON c.oid = to_regclass('public.cost_tracking')
    WHERE
        NOT r.rolsuper
        AND r.rolname NOT IN ('anon', 'authenticated')
        AND r.rolname !~ '^pg_'
        AND has_function_privilege(r.oid, p_function, 'EXECUTE')
        AND has_table_privilege(r.oid, c.oid, 'INSERT')
        AND (
            NOT c.relrowsecurity
            OR r.rolbypassrls
            OR (NOT c.relforcerowsecurity AND pg_has_role(r.oid, c.relowner, 'USAGE'))
            OR (
                SELECT coalesce(bool_or(w.lets_all) FILTER (WHERE p.polpermissive), false)
                    AND coalesce(bool_and(w.lets_all) FILTER (WHERE NOT p.polpermissive), true)
                FROM pg_policy AS p
                CROSS JOIN LATERAL (
                    SELECT pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) = 'true' AS lets_all
                ) AS w
                WHERE
                    p.polrelid = c.oid
                    AND p.polcmd IN ('a', '*')
                    AND EXISTS (
                        SELECT FROM unnest(p.polroles) AS g WHERE g = 0 OR pg_has_role(r.oid, g, 'USAGE')
                    )
            )
        )
    ORDER BY r.rolname;
END
$function$;

REVOKE ALL ON FUNCTION budget._former_callers(regprocedure) FROM PUBLIC;
COMMENT ON FUNCTION budget._former_callers(regprocedure) IS
'The roles that keep their way to reserve when check_and_reserve_budget becomes ours: they could call the function and
write the ledger, by whatever way, but for anon, authenticated and those whom row security may have stopped.';
