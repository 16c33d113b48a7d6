-- A validated constraint is undone with the constraint itself.
DO $do$
BEGIN
    NULL;
END
$do$;
