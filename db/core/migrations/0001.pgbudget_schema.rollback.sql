-- The roles stay: they belong to the cluster, and other databases may use them.

SET search_path = pg_catalog, pg_temp;

-- begin guard
-- From here on functions of the schema run, and whoever owns them can change them.
DO $do$
DECLARE
    v_owner text := (
        SELECT r.rolname
        FROM pg_namespace AS n
        INNER JOIN pg_roles AS r ON n.nspowner = r.oid
        WHERE n.nspname = 'budget' AND r.rolname <> current_user AND NOT r.rolsuper
    );
BEGIN
    IF v_owner IS NOT NULL AND NOT coalesce(nullif(current_setting('pgbudget.accept_owner', true), ''), 'off')::boolean THEN
        RAISE EXCEPTION 'the schema budget belongs to another role, whose code would run with the rights of %', current_user
            USING ERRCODE = '55000',
            DETAIL = format('It is owned by %s.', v_owner),
            HINT = 'Nothing was changed. Go on as its owner; or, if you trust it with your own rights, with '
                '--accept-owner or the setting pgbudget.accept_owner = on.';
    END IF;
END
$do$;
-- end guard

-- begin compiled
DROP FUNCTION IF EXISTS budget._preflight();

DROP FUNCTION IF EXISTS budget._foreign_code();

DROP FUNCTION IF EXISTS budget._code_rights();

DROP FUNCTION IF EXISTS budget._foreign_owners();

DROP FUNCTION IF EXISTS budget._former_callers(regprocedure);

DROP FUNCTION IF EXISTS budget._adopted_function();

DROP FUNCTION IF EXISTS budget._ledger_owner();

DROP FUNCTION IF EXISTS budget._keep_found();

DROP FUNCTION IF EXISTS budget._hand_over();

DROP FUNCTION IF EXISTS budget._note_found();

DROP FUNCTION IF EXISTS budget._lock_table(text, text);

DROP FUNCTION IF EXISTS budget._in_short_tries(text[], text[], text);
-- end compiled

DROP TYPE IF EXISTS budget._posting;

DROP TYPE IF EXISTS budget._config;

DROP TYPE IF EXISTS budget.outcome;

DROP TYPE IF EXISTS budget.verdict;

DROP SCHEMA IF EXISTS budget;

RESET search_path;
