-- The error of one element is the error of the batch: it keeps its code, message and hint, and says whose it is.
CREATE OR REPLACE FUNCTION budget._element_error(
    p_place text,
    p_sqlstate text,
    p_message text,
    p_detail text,
    p_hint text
)
RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION '%', p_message
        USING ERRCODE = CASE
            -- What is no number, no id or no interval is a bad argument, whatever the type calls it.
            WHEN p_sqlstate LIKE '22%' AND p_sqlstate <> '22003' THEN '22023'
            ELSE p_sqlstate
        END,
        DETAIL = concat_ws(': ', p_place, nullif(p_detail, '')),
        HINT = coalesce(nullif(p_hint, ''), 'Nothing of the batch was done. Mend this element, or leave it out.');
END
$function$;

REVOKE ALL ON FUNCTION budget._element_error(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._element_error(text, text, text, text, text) IS
'Raises an error that an element of a batch met, with its place in DETAIL.';
