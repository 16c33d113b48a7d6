CREATE OR REPLACE FUNCTION budget._batch(p_elements jsonb, p_argument text, p_keys text[])
RETURNS SETOF jsonb
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_most CONSTANT integer := 10000;
    v_fault text := CASE
        WHEN jsonb_typeof(p_elements) IS DISTINCT FROM 'array'
            THEN format('It is %s.', coalesce('of type ' || jsonb_typeof(p_elements), 'null'))
        WHEN jsonb_array_length(p_elements) > c_most
            THEN format('It has %s elements.', jsonb_array_length(p_elements))
    END;
BEGIN
    IF v_fault IS NOT NULL THEN
        RAISE EXCEPTION '% must be a JSON array of at most % objects', p_argument, c_most
            USING ERRCODE = '22023', DETAIL = v_fault, HINT = 'Nothing was done. Send a larger batch in parts.';
    END IF;
    -- An argument that is misspelt must be seen, and not be taken for one that was left out.
    SELECT format(
        '%s -> %s: %s', p_argument, e.n - 1,
        CASE jsonb_typeof(e.element)
            WHEN 'object' THEN 'unknown: ' || (
                SELECT string_agg(k.key, ', ') FROM jsonb_object_keys(e.element) AS k (key) WHERE k.key <> ALL (p_keys)
            )
            ELSE 'it is of type ' || jsonb_typeof(e.element)
        END
    )
    INTO v_fault
    FROM jsonb_array_elements(p_elements) WITH ORDINALITY AS e (element, n)
    WHERE CASE jsonb_typeof(e.element) WHEN 'object' THEN e.element - p_keys <> '{}' ELSE true END
    ORDER BY e.n
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% has an element that cannot be read', p_argument
            USING ERRCODE = '22023',
            DETAIL = v_fault,
            HINT = format('Nothing was done. An element is an object with the keys %s.', array_to_string(p_keys, ', '));
    END IF;
    RETURN QUERY SELECT e.element FROM jsonb_array_elements(p_elements) AS e (element);
END
$function$;

REVOKE ALL ON FUNCTION budget._batch(jsonb, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION budget._batch(jsonb, text, text[]) IS
'The elements of a batch in their order: objects of which no key is unknown. Errors: 22023.';
