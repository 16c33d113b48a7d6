-- A validated constraint is undone with the constraint itself.
SELECT 1 WHERE false;
