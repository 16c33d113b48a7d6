-- An expiry is undone with its column.
SELECT 1 WHERE false;
