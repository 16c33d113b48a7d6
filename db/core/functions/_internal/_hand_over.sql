-- What a migration makes belongs to the role that runs it, be it a superuser, until its end.
CREATE OR REPLACE FUNCTION budget._hand_over()
RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_owner CONSTANT oid := budget._ledger_owner();
    -- Found before the first of them changes hands: ours is known by the owner of the schema. That comes first, for who
    -- is given the rest has to be able to create in it. What is locked is so in the order in which those come to it who
    -- read and decide: views, tables, types.
    v_statements text[] := ARRAY(
        SELECT format('ALTER %s OWNER TO %s', t.name, c_owner::regrole)
        FROM (
            SELECT
                CASE c.relkind WHEN 'c' THEN 'TYPE ' WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass AS name,
                array_position(ARRAY['v', 'r', 'c'], c.relkind::text) AS place,
                array_position(ARRAY['budgets', 'balances', 'postings'], c.relname::text) AS place_of_table
            FROM pg_class AS c
            WHERE
                c.relnamespace = 'budget'::regnamespace AND c.relkind IN ('c', 'v', 'r') AND c.relowner <> c_owner
            UNION ALL
            SELECT 'FUNCTION ' || p.oid::regprocedure, 4, NULL
            FROM pg_proc AS p
            WHERE
                p.proowner <> c_owner
                AND (
                    p.pronamespace = 'budget'::regnamespace
                    OR (
                        p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')
                        AND p.oid IS DISTINCT FROM budget._adopted_function()
                    )
                )
            UNION ALL
            SELECT 'SCHEMA budget', 0, NULL FROM pg_namespace AS n WHERE n.nspname = 'budget' AND n.nspowner <> c_owner
        ) AS t
        ORDER BY t.place, t.place_of_table, t.name
    );
BEGIN
    -- Not to an owner of whom nobody said that he is trusted: the next migration stops at him.
    IF EXISTS (SELECT FROM budget._foreign_owners() AS f WHERE f.table_name = 'cost_tracking') THEN
        RETURN;
    END IF;
    PERFORM budget._in_short_tries('{}', v_statements, 'the schema budget');
END
$function$;

REVOKE ALL ON FUNCTION budget._hand_over() FROM PUBLIC;
COMMENT ON FUNCTION budget._hand_over() IS
'For migrations, at their end: all that is of pgbudget belongs to the owner of the ledger, whoever migrates. Where that
is another role than the migrating one, pgbudget.accept_owner has to be on.';
